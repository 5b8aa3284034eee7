// What differential.py compares with: node's HTTP parser, answering 200; and npm's ws, echoing.
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');
const [web, frames] = process.argv.slice(2).map(Number);
http.createServer((request, response) => {
  request.on('data', () => { });
  request.on('error', () => { });
  request.on('end', () => response.end('yes'));
}).listen(web, '127.0.0.1');
new WebSocketServer({ port: frames, host: '127.0.0.1', skipUTF8Validation: false }).on('connection', socket => {
  socket.on('error', () => { });
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
