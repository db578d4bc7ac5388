# Makes the calls of a script with Ruby's grpc and prints what came back:
#   ruby client.rb TARGET FOLDER_OF_GENERATED_CODE < script
require "base64"
require "json"
require "grpc"
require "grpc/health/v1/health_services_pb"

target, folder = ARGV
$LOAD_PATH.unshift(folder)
require "stigg/sidecar/v1/sidecar_services_pb"
require "grpc/reflection/v1alpha/reflection_services_pb"

Service = Stigg::Sidecar::V1::SidecarService::Service
Health = Grpc::Health::V1
Reflection = Grpc::Reflection::V1alpha
STATUSES = GRPC::Core::StatusCodes.constants.to_h do |name|
  [GRPC::Core::StatusCodes.const_get(name), name.to_s]
end
UNLIMITED = { channel_args: { "grpc.max_receive_message_length" => -1 } }.freeze

sidecar, health, reflection =
  [Service, Health::Health::Service, Reflection::ServerReflection::Service].map do |service|
    service.rpc_stub_class.new(target, :this_channel_is_insecure, **UNLIMITED)
  end

deadline = ->(call) { Time.now + call["timeout"] }

ask = lambda do |call, question|
  request = Reflection::ServerReflectionRequest.new(**question)
  reflection.server_reflection_info([request], deadline: deadline.(call)).first
end

OPERATIONS = {
  "call" => lambda do |call|
    description = Service.rpc_descs.fetch(call["method"].to_sym)
    request = description.input.decode_json(JSON.generate(call["request"]))
    name = GRPC::GenericService.underscore(call["method"])
    answer = sidecar.public_send(name, request, deadline: deadline.(call))
    JSON.parse(answer.to_json(preserve_proto_fieldnames: true, emit_defaults: true))
  end,
  "health" => lambda do |call|
    request = Health::HealthCheckRequest.new(service: call["method"])
    { status: health.check(request, deadline: deadline.(call)).status }
  end,
  "services" => lambda do |call|
    found = ask.(call, list_services: "").list_services_response
    { services: found.service.map(&:name).sort }
  end,
  "file" => lambda do |call|
    found = ask.(call, file_containing_symbol: call["method"]).file_descriptor_response
    { files: found.file_descriptor_proto.map { |file| Base64.strict_encode64(file) }.sort }
  end
}.freeze

$stdin.each_line do |line|
  call = JSON.parse(line)
  begin
    result = { status: "OK", response: OPERATIONS.fetch(call["operation"]).(call) }
  rescue GRPC::BadStatus => e
    result = { status: STATUSES.fetch(e.code), message: e.details.dup.force_encoding("UTF-8") }
  end
  puts JSON.generate({ name: call["name"], **result })
end
