// Echo by the ws of npm; prints its port.
const path = require("path");
const { WebSocketServer } = require(path.resolve(__dirname, "../../interop/node_modules/ws"));

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, maxPayload: 64 << 20 });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
process.on("SIGTERM", () => process.exit(0));
