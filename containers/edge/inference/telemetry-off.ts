// ONNX Runtime reads this once, when its library is loaded, and without it reports usage to its vendor. So this module
// must be imported before `onnxruntime-node`.
process.env.ORT_DISABLE_TELEMETRY = '1';
