// Making a WebSocket: URLs and subprotocols.
'use strict';

check('constructor/009: a subprotocol twice', () => throws('SyntaxError', () => make('/echo', ['a', 'a'])));
check('constructor/010: a server that would choose, but is not asked', async () => {
  const socket = await open('/handshake_protocol');
  equal(socket.protocol, '');
  equal(socket.extensions.includes('permessage-deflate'), true, 'compressed');
});
check('constructor/011, protocol/001: what was chosen', async () => {
  equal(await told('/protocol', 'foobar'), 'foobar');
  const socket = make('/protocol', 'foobar');
  equal(socket.protocol, '', 'protocol while connecting');
  await event(socket, 'open');
  equal(socket.protocol, 'foobar');
});
check('constructor/012: a server that chooses none', () => refused('/handshake_no_protocol', 'foobar'));
check('constructor/013: 25 at once', async () => {
  const one = async number => {
    const socket = await open('/echo');
    equal(await echoed(socket, String(number)), String(number));
    socket.close();
    await ends(socket, 1005, '');
  };
  await Promise.all([...Array(25).keys()].map(one));
});
check('constructor/014: two to a place where the handshake takes 2 s come one by one', async () => {
  const start = performance.now(), times = [];
  const one = async () => {
    const socket = await open('/handshake_sleep_2');
    times.push(performance.now() - start);
    socket.close();
  };
  await Promise.all([one(), one()]);
  good(times[0] > 1900 && times[1] > 3800, times.join());
}, { only: 'ws' });
check('constructor/016, Create-url-with-windows-1252-encoding: a query is UTF-8 all the same', async () => {
  const frame = document.createElement('iframe');
  frame.src = `windows-1252.html?${base}/echo-query?`;
  document.body.append(frame);
  const { data } = await event(window, 'message');
  equal(data, 'windows-1252 %C3%A5%C3%A4%C3%B6');
  frame.remove();
});
check('constructor/018: a NUL in the query', async () => {
  equal(await told('/echo-query?x\0y'), 'x%00y');
  equal(await told('/echo-query?x%00y'), 'x%00y');
});
check('a query that no form would send', async () => {
  for (const query of ['q=100%', 'q=%E9', '%', 'a=b=c&&&', 'a+b', '?']) {
    equal(await told('/echo-query?' + query), query);
  }
});
check('constructor/019: an upper-case scheme', async () => {
  const socket = new WebSocket(base.replace(/^wss?/, scheme => scheme.toUpperCase()) + '/echo');
  await event(socket, 'open');
  equal(socket.url, base + '/echo');
});
check('constructor/020: an upper-case host', async () => {
  const socket = new WebSocket(base.replace('127.0.0.1', 'LOCALHOST') + '/echo');
  await event(socket, 'open');
  equal(await echoed(socket, 'x'), 'x');
});
check('constructor/021, Create-protocols-repeated: of names once in each case both are offered', async () => {
  throws('SyntaxError', () => make('/echo', ['echo', 'echo']));
  equal(await told('/protocol_array', ['Foobar', 'foobar']), 'Foobar');
});
check('constructor/022, Create-valid-url-array-protocols: the first of two', async () => {
  equal(await told('/protocol_array', ['foobar', 'foobar2']), 'foobar');
  equal(await told('/protocol', ['other', 'foobar']), 'foobar');
});
check('Create-valid-url-protocol-string, -setCorrectly', async () => {
  equal((await open('/echo', 'echo')).protocol, 'echo');
});
check('Create-valid-url-protocol-empty: an empty list', async () => equal((await open('/echo', [])).protocol, ''));
check('Create-nonAscii-protocol-string, -asciiSep-, -protocol-with-space', () => {
  for (const name of ['\u0080echo', 'ec\x02ho', 'ec ho', 'a,b', '']) {
    throws('SyntaxError', () => make('/echo', name));
  }
});
check('Create-extensions-empty: none is chosen where the server has none', async () => {
  equal((await open('/handshake_no_extensions')).extensions, '');
  equal((await open('/echo')).extensions, '');
});
check('extensions/001: permessage-deflate is offered and chosen', async () => {
  equal(await told('/extensions'), 'permessage-deflate; client_max_window_bits');
  good((await open('/echo_deflate')).extensions.startsWith('permessage-deflate'), 'not chosen');
});
check('Create-http-urls, Create-valid-url-relative: other ways to write it', async () => {
  const socket = new WebSocket(base.replace(/^ws/, 'http') + '/echo');
  equal(socket.url, base + '/echo');
  await event(socket, 'open');
  if (!secure) await event(new WebSocket('/echo'), 'open');
});
check('Create-invalid-urls, Create-wrong-scheme: no server is asked', () => {
  for (const url of ['wss://127.0.0.1:0x10/', 'wss://127.0.0.1:99999/', 'wss://?', 'mailto:a@example.com',
    'about:blank']) {
    throws('SyntaxError', () => new WebSocket(url));
  }
});
check('Create-url-with-space: in the path', async () => {
  equal(make('/e cho').url, base + '/e%20cho');
  await refused('/e cho');
});
check('Create-blocked-port', async () => {
  const socket = new WebSocket('ws://127.0.0.1:25/');
  equal((await event(socket, 'close')).code, 1006);
});
check('a page that is not there, and one that is none', async () => {
  await refused('/nothing');
  await refused('/check.js');
});
