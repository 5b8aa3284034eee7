// Cookies with the handshake.
'use strict';

const fresh = () => `ws_test_${Date.now()}.${Math.random()}`;
const forget = name => { document.cookie = `${name}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT`; };
const sent = async name => (await told('/echo-cookie')).split('; ').includes(name + '=test');
const seen = name => document.cookie.split('; ').includes(name + '=test');

check('cookies/001: the page\'s cookies are sent', async () => {
  const name = fresh();
  equal(await sent(name), false, 'sent before');
  document.cookie = name + '=test; Path=/';
  equal(await sent(name), true, 'sent');
  forget(name);
});
check('cookies/002, 006, 007: Set-Cookie of the answer counts', async () => {
  const name = fresh();
  await open('/set-cookie?' + name.slice(8));
  equal(seen(name), true, 'seen');
  equal(await sent(name), true, 'sent');
  forget(name);
});
check('cookies/003: HttpOnly cookies are sent', async () => {
  const name = fresh();
  await fetch('/cookie?name=' + name);
  equal(seen(name), false, 'seen');
  equal(await sent(name), true, 'sent');
});
check('cookies/004, 005: HttpOnly in the answer', async () => {
  const name = fresh();
  await open('/set-cookie_http?' + name.slice(8));
  equal(seen(name), false, 'seen');
  equal(await sent(name), true, 'sent');
});
check('set-cookies-samesite, third-party-cookies: Strict ones are not for other sites', async () => {
  const name = fresh();
  await open('/set-cookies-samesite?' + name.slice(8));
  equal(seen(name), true, 'seen');
  equal(await sent(name), true, 'sent');
  const other = new WebSocket(base.replace('127.0.0.1', 'localhost') + '/echo-cookie');
  equal((await event(other, 'message')).data.includes(name), false, 'sent to another host');
  forget(name);
});
