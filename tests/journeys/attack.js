// Everything that a page can try on a door of another origin, in a real browser.
// `attack(door, paths)` answers with what came back: [how, path, what the page could see of it].
const FRAME = 1000; // ms that a frame, an image, a socket may take

async function attack(door, paths) {
  const asked = JSON.stringify({input: [{role: 'user', content: 'spend it'}], stream: true});
  const found = [];
  const saw = (how, path, what) => found.push([how, path, what]);

  const fetched = async (how, path, options) => {
    try {
      const answer = await fetch(door + path, options);
      saw(how, path, answer.type === 'opaque' ? 'nothing' : `${answer.status} ${await answer.text()}`);
    } catch {
      saw(how, path, 'nothing');
    }
  };

  const element = (how, path, tag, attributes) => new Promise((resolve) => {
    const one = Object.assign(document.createElement(tag), attributes);
    const done = (what) => { saw(how, path, what); resolve(); };
    one.onload = () => done(tag === 'iframe' ? framed(one) : 'loaded');
    one.onerror = () => done('nothing');
    setTimeout(done, FRAME, 'nothing');
    document.body.append(one);
  });

  const framed = (frame) => {
    try {
      return frame.contentDocument ? `read ${frame.contentDocument.body.textContent}` : 'nothing';
    } catch {
      return 'nothing';
    }
  };

  const form = (how, path, enctype) => new Promise((resolve) => {
    const frame = Object.assign(document.createElement('iframe'), {name: `f${Math.random()}`});
    const sent = Object.assign(document.createElement('form'), {
      method: 'post', action: door + path, enctype, target: frame.name,
    });
    // In text/plain a field is sent as name=value: together they are JSON.
    const [name, value] = [asked.slice(0, -1) + ',"x":"', '"}'];
    sent.append(Object.assign(document.createElement('input'), {name, value}));
    document.body.append(frame, sent);
    frame.onload = () => { saw(how, path, framed(frame)); resolve(); };
    setTimeout(() => { saw(how, path, 'nothing'); resolve(); }, FRAME);
    sent.submit();
  });

  const socket = (path) => new Promise((resolve) => {
    const one = new WebSocket(door.replace('http', 'ws') + path);
    one.onopen = () => { saw('WebSocket', path, 'opened'); resolve(); };
    one.onclose = () => { saw('WebSocket', path, 'nothing'); resolve(); };
  });

  const events = (path) => new Promise((resolve) => {
    const one = new EventSource(door + path);
    const done = (what) => { one.close(); saw('EventSource', path, what); resolve(); };
    one.onopen = () => done('opened');
    one.onerror = () => done('nothing');
  });

  const text = {'content-type': 'text/plain'};
  const json = {'content-type': 'application/json'};
  await Promise.all(paths.flatMap((path) => [
    fetched('GET', path, {mode: 'cors'}),
    fetched('GET no-cors', path, {mode: 'no-cors', credentials: 'include'}),
    fetched('POST JSON', path, {method: 'POST', mode: 'cors', headers: json, body: asked}),
    fetched('POST text', path, {method: 'POST', mode: 'cors', headers: text, body: asked}),
    fetched('POST text no-cors', path, {method: 'POST', mode: 'no-cors', headers: text, body: asked}),
    fetched('POST untyped', path, {method: 'POST', mode: 'no-cors', body: new Blob([asked])}),
    fetched('POST kept alive', path, {method: 'POST', mode: 'no-cors', keepalive: true, body: asked}),
    fetched('PUT', path, {method: 'PUT', mode: 'cors', headers: json, body: asked}),
    form('form text', path, 'text/plain'),
    form('form', path, 'application/x-www-form-urlencoded'),
    form('form multipart', path, 'multipart/form-data'),
    element('image', path, 'img', {src: door + path}),
    element('script', path, 'script', {src: door + path}),
    element('frame', path, 'iframe', {src: door + path}),
    events(path),
  ]));
  await socket(paths[0]); // one: a browser holds further ones back, the longer the more of them failed
  for (const path of paths) {
    saw('beacon', path, navigator.sendBeacon(door + path, new Blob([asked], {type: 'text/plain'})) && 'nothing');
  }
  return found;
}
