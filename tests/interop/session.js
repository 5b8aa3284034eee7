#!/usr/bin/env node
// Chromium's page of session.c: log in, a socket that knows who is there, tabs, log out.
'use strict';
const { appears, desktop, expect, fits, legible, phone, picture, run, start, stop, visit } = require('./kit');

const shows = wanted => document.body.innerText.includes(wanted);

async function logIn(page, name, password) {
  await page.fill('[name=name]', name);
  await page.fill('[name=password]', password);
  const [response] = await Promise.all([page.waitForNavigation(), page.click('button')]);
  return response.status();
}

async function session(browser) {
  process.env.SESSION_KEY = 'a key of the tests, long enough';
  const { server, address, port } = await start('session', 0);
  const page = await visit(browser, address, 'session', desktop);
  await appears('session: asks who is there', page, shows, 'Who are you?');
  await legible('session-login-desktop', page);
  await picture(page, 'session-login-desktop');
  expect('a wrong password is 401', await logIn(page, 'ann', 'banana') === 401);
  await appears('and said', page, shows, 'Wrong name or password.');
  expect('the name is still there', await page.inputValue('[name=name]') === 'ann');
  await legible('session-wrong-desktop', page);
  await picture(page, 'session-wrong-desktop');
  expect('a wrong name is the same', await logIn(page, '<b>eve</b>', 'apple') === 401);
  expect('and shown as text', await page.inputValue('[name=name]') === '<b>eve</b>');
  expect('the right one leads on', await logIn(page, 'ann', 'apple') === 200);
  await appears('the page knows', page, shows, 'Hello, ann');
  await appears('the socket knows', page, shows, 'The socket knows you as ann, in 1 tab.');
  await legible('session-home-desktop', page);
  await picture(page, 'session-home-desktop');
  const [cookie] = await page.context().cookies();
  expect('the cookie is HttpOnly and SameSite=Lax', cookie.httpOnly && cookie.sameSite === 'Lax',
    JSON.stringify(cookie));
  expect('scripts do not see it', await page.evaluate(() => document.cookie) === '');
  await page.reload();
  await appears('a reload stays logged in', page, shows, 'The socket knows you as ann, in 1 tab.');
  const second = await page.context().newPage();
  await second.goto(address);
  await appears('a second tab', second, shows, 'in 2 tabs.');
  await appears('the first hears of it', page, shows, 'in 2 tabs.');

  const small = await visit(browser, address, 'phone', { ...phone, colorScheme: 'dark' });
  await appears('another browser is nobody', small, shows, 'Who are you?');
  expect('the page fits a phone', await fits(small));
  await legible('session-login-phone-dark', small);
  await picture(small, 'session-login-phone-dark');
  const closed = await small.evaluate(address => new Promise(done => {
    const socket = new WebSocket(address.replace('http', 'ws') + 'ws');
    socket.onclose = event => done(event.code + ' ' + event.reason);
  }), address);
  expect('its socket is closed with 1008', closed === '1008 log in first', closed);
  await small.context().addCookies([{ ...cookie, value: cookie.value.replace(/.$/, end => end === 'A' ? 'E' : 'A') }]);
  await small.reload();
  await appears('a forged cookie is nobody', small, shows, 'Who are you?');
  await logIn(small, 'bob', 'apple');
  await legible('session-wrong-phone-dark', small);
  await logIn(small, 'bob', 'banana');
  await appears('bob logs in there', small, shows, 'The socket knows you as bob, in 1 tab.');

  expect('session ends with status 0', await stop(server) === 0);
  const again = await start('session', port);
  await appears('with its server back, sockets and sessions are', page, shows, 'knows you as ann, in 2 tabs.');
  await Promise.all([page.waitForNavigation(), page.click('button')]);
  await appears('log out', page, shows, 'Who are you?');
  await appears('the other tab is logged out, too', second, shows, 'Who are you?');
  await appears('bob is not', small, shows, 'Hello, bob');
  expect('and session ends with status 0', await stop(again.server) === 0);
}

run(session);
