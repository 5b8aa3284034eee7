"""Echo by FastAPI on uvicorn; prints its port."""
import socket

import fastapi
import uvicorn

app = fastapi.FastAPI()


@app.websocket("/")
async def echo(peer: fastapi.WebSocket):
    await peer.accept()
    try:
        while True:
            message = await peer.receive()
            if message.get("bytes") is not None:
                await peer.send_bytes(message["bytes"])
            elif message.get("text") is not None:
                await peer.send_text(message["text"])
            else:
                return
    except fastapi.WebSocketDisconnect:
        pass


listener = socket.create_server(("127.0.0.1", 0), backlog=511)
print(listener.getsockname()[1], flush=True)
settings = uvicorn.Config(app, log_level="critical", ws="websockets", ws_per_message_deflate=False)
uvicorn.Server(settings).run(sockets=[listener])
