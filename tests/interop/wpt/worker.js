// Says the first message that a WebSocket brings; with send: that is sent first.
'use strict';

onmessage = ({ data: { url, send } }) => {
  const socket = new WebSocket(url);
  if (send) socket.onopen = () => socket.send(send);
  socket.onmessage = ({ data }) => postMessage(data);
};
