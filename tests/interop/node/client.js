// Makes the calls of a script with @grpc/grpc-js and prints what came back:
//   node client.js TARGET FOLDER_OF_PROTO < script
"use strict";

const path = require("node:path");
const readline = require("node:readline");
const grpc = require("@grpc/grpc-js");
const { fromJson, load, toJson } = require("./wire");

const [target, folder] = process.argv.slice(2);

function packaged(name, folder, file) {
  const root = path.dirname(require.resolve(`${name}/package.json`));
  return grpc.loadPackageDefinition(load(file, path.join(root, folder)));
}

function client(Service) {
  return new Service(target, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
}

const sidecar = client(
  grpc.loadPackageDefinition(load("stigg/sidecar/v1/sidecar.proto", folder)).stigg.sidecar.v1
    .SidecarService,
);
const health = client(
  packaged("grpc-health-check", "proto", "health/v1/health.proto").grpc.health.v1.Health,
);
const reflection = client(
  packaged("@grpc/reflection", "build/proto", "grpc/reflection/v1alpha/reflection.proto").grpc
    .reflection.v1alpha.ServerReflection,
);

function unary(stub, method, request, timeout) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + timeout * 1000;
    stub[method](request, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

function reflected(question, timeout) {
  return new Promise((resolve, reject) => {
    const stream = reflection.serverReflectionInfo({ deadline: Date.now() + timeout * 1000 });
    stream.on("data", resolve);
    stream.on("error", reject);
    stream.write(question);
    stream.end();
  });
}

async function answer({ operation, method, request, timeout }) {
  if (operation === "call") {
    return toJson(await unary(sidecar, method, fromJson(request), timeout));
  }
  if (operation === "health") {
    return { status: (await unary(health, "check", { service: method }, timeout)).status };
  }
  if (operation === "services") {
    const found = await reflected({ list_services: "" }, timeout);
    return { services: found.list_services_response.service.map(({ name }) => name).sort() };
  }
  const found = await reflected({ file_containing_symbol: method }, timeout);
  const files = found.file_descriptor_response.file_descriptor_proto;
  return { files: files.map((file) => file.toString("base64")).sort() };
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const call = JSON.parse(line);
    let result;
    try {
      result = { status: "OK", response: await answer(call) };
    } catch (error) {
      if (!(error.code in grpc.status)) throw error;
      result = { status: grpc.status[error.code], message: error.details };
    }
    console.log(JSON.stringify({ name: call.name, ...result }));
  }
  for (const stub of [sidecar, health, reflection]) stub.close();
}

main();
