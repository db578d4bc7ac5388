// A sidecar that answers as a script says, and prints each request that it got:
//   node server.js FOLDER_OF_PROTO < script
// The first line it reads is the script, the first that it prints is its address. It ends
// when its standard input does.
"use strict";

const readline = require("node:readline");
const grpc = require("@grpc/grpc-js");
const { fromJson, load, toJson } = require("./wire");

const [folder] = process.argv.slice(2);
let steps;
const { service } = grpc.loadPackageDefinition(load("stigg/sidecar/v1/sidecar.proto", folder)).stigg
  .sidecar.v1.SidecarService;

function handler(method) {
  return (call, callback) => {
    console.log(JSON.stringify({ method, request: toJson(call.request) }));
    const { status, message, response } = steps.shift();
    // Without a status the caller waits until its deadline.
    if (status === "OK") callback(null, fromJson(response));
    else if (status) callback({ code: grpc.status[status], details: message });
  };
}

const server = new grpc.Server();
server.addService(
  service,
  Object.fromEntries(Object.keys(service).map((method) => [method, handler(method)])),
);
readline
  .createInterface({ input: process.stdin })
  .once("line", (line) => {
    steps = JSON.parse(line);
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) throw error;
      console.log(JSON.stringify({ target: `127.0.0.1:${port}` }));
    });
  })
  .once("close", () => server.forceShutdown());
