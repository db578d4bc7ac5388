// Between what @grpc/proto-loader makes of messages and the JSON form of protobuf.
// Only well-known types differ; everything else is what the loader made.
"use strict";

const loader = require("@grpc/proto-loader");

const OPTIONS = { keepCase: true, longs: String, enums: String, defaults: true };
const TIMES = new Set([
  "timestamp",
  "next_reset_date",
  "usage_period_anchor",
  "usage_period_start",
  "usage_period_end",
]);

function load(file, folder) {
  return loader.loadSync(file, { ...OPTIONS, includeDirs: [folder] });
}

function timeFromJson(text) {
  const [, seconds, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(text);
  return { seconds: Date.parse(`${seconds}Z`) / 1000, nanos: Number(fraction.padEnd(9, "0")) };
}

function timeToJson({ seconds, nanos }) {
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  if (nanos === 0) return `${whole}Z`;
  let fraction = String(nanos).padStart(9, "0");
  while (fraction.endsWith("000")) fraction = fraction.slice(0, -3);
  return `${whole}.${fraction}Z`;
}

function valueFromJson(value) {
  if (value === null) return { nullValue: "NULL_VALUE" };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(valueFromJson) } };
  return { structValue: structFromJson(value) };
}

function structFromJson(object) {
  return { fields: mapped(object, (_key, value) => valueFromJson(value)) };
}

function valueToJson(value) {
  if ("stringValue" in value) return value.stringValue;
  if ("numberValue" in value) return value.numberValue;
  if ("boolValue" in value) return value.boolValue;
  if ("listValue" in value) return value.listValue.values.map(valueToJson);
  if ("structValue" in value) return structToJson(value.structValue);
  return null;
}

function structToJson({ fields }) {
  return mapped(fields, (_key, value) => valueToJson(value));
}

function mapped(object, change) {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, change(key, value)]),
  );
}

function fromJson(value, key) {
  if (TIMES.has(key)) return timeFromJson(value);
  if (key === "additional_meta_data") return structFromJson(value);
  if (Array.isArray(value)) return value.map((item) => fromJson(item));
  if (value !== null && typeof value === "object") {
    return mapped(value, (name, part) => fromJson(part, name));
  }
  return value;
}

function toJson(value, key) {
  if (value === null) return null;
  if (TIMES.has(key)) return timeToJson(value);
  if (key === "additional_meta_data") return structToJson(value);
  if (Array.isArray(value)) return value.map((item) => toJson(item));
  if (typeof value === "object") return mapped(value, (name, part) => toJson(part, name));
  // JSON has no word for them; protobuf's JSON writes these.
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

module.exports = { fromJson, load, toJson };
