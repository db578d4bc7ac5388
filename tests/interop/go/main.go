// Makes the calls of a script with grpc-go and prints what came back:
//
//	main TARGET < script
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	sidecar "interop/sidecar"
)

type call struct {
	Name, Operation, Method string
	Request                 json.RawMessage
	Timeout                 float64
}

type result struct {
	Name     string      `json:"name"`
	Status   string      `json:"status"`
	Message  string      `json:"message"`
	Response interface{} `json:"response,omitempty"`
}

var printed = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

func main() {
	log.SetFlags(0)
	connection, err := grpc.Dial(
		os.Args[1], grpc.WithInsecure(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)),
	)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<30)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked call
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		if err := output.Encode(made(connection, asked)); err != nil {
			log.Fatal(err)
		}
	}
}

func made(connection *grpc.ClientConn, asked call) result {
	timeout := time.Duration(asked.Timeout * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response, err := answer(ctx, connection, asked)
	if err == nil {
		return result{Name: asked.Name, Status: "OK", Response: response}
	}
	failure, ok := status.FromError(err)
	if !ok {
		log.Fatalf("%s: %v", asked.Name, err)
	}
	return result{Name: asked.Name, Status: shouted(failure.Code()), Message: failure.Message()}
}

func answer(ctx context.Context, connection *grpc.ClientConn, asked call) (interface{}, error) {
	switch asked.Operation {
	case "call":
		return called(ctx, connection, asked)
	case "health":
		request := &health.HealthCheckRequest{Service: asked.Method}
		found, err := health.NewHealthClient(connection).Check(ctx, request)
		if err != nil {
			return nil, err
		}
		return map[string]string{"status": found.Status.String()}, nil
	case "services":
		return services(ctx, connection)
	}
	return files(ctx, connection, asked.Method)
}

// The generated client has one Go method for each method of the protocol.
func called(ctx context.Context, connection *grpc.ClientConn, asked call) (interface{}, error) {
	client := sidecar.NewSidecarServiceClient(connection)
	method := reflect.ValueOf(client).MethodByName(asked.Method)
	request := reflect.New(method.Type().In(1).Elem())
	if err := protojson.Unmarshal(asked.Request, request.Interface().(proto.Message)); err != nil {
		log.Fatalf("%s: %v", asked.Name, err)
	}
	got := method.Call([]reflect.Value{reflect.ValueOf(ctx), request})
	if err, failed := got[1].Interface().(error); failed {
		return nil, err
	}
	text, err := printed.Marshal(got[0].Interface().(proto.Message))
	if err != nil {
		log.Fatalf("%s: %v", asked.Name, err)
	}
	return json.RawMessage(text), nil
}

func services(ctx context.Context, connection *grpc.ClientConn) (interface{}, error) {
	found, err := reflected(ctx, connection, &reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, service := range found.GetListServicesResponse().Service {
		names = append(names, service.Name)
	}
	sort.Strings(names)
	return map[string][]string{"services": names}, nil
}

func files(ctx context.Context, connection *grpc.ClientConn, symbol string) (interface{}, error) {
	found, err := reflected(ctx, connection, &reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: symbol,
		},
	})
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, file := range found.GetFileDescriptorResponse().FileDescriptorProto {
		texts = append(texts, base64.StdEncoding.EncodeToString(file))
	}
	sort.Strings(texts)
	return map[string][]string{"files": texts}, nil
}

func reflected(
	ctx context.Context, connection *grpc.ClientConn, question *reflection.ServerReflectionRequest,
) (*reflection.ServerReflectionResponse, error) {
	stream, err := reflection.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(question); err != nil {
		return nil, err
	}
	return stream.Recv()
}

// InvalidArgument is INVALID_ARGUMENT in the words of the protocol.
func shouted(code codes.Code) string {
	var text strings.Builder
	if code == codes.Canceled {
		return "CANCELLED"
	}
	for at, letter := range fmt.Sprint(code) {
		if at > 0 && 'A' <= letter && letter <= 'Z' {
			text.WriteByte('_')
		}
		text.WriteRune(letter)
	}
	return strings.ToUpper(text.String())
}
