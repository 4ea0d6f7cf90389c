// Drives the Leptos example, and reports what the page shows. The tab has session storage of its own, so
// the page knows that it has been reloaded.

const report = (text) => fetch('/report', { method: 'POST', body: text });

const shown = () => {
  const state = document.querySelector('p')?.textContent;
  const events = [...document.querySelectorAll('li')].map((it) => it.textContent);
  return state === undefined ? 'unmounted' : `${state}: ${events.join(', ')}`;
};

const reportOnce = (condition) =>
  new Promise((resolve) => {
    const check = () => {
      const text = shown();
      if (condition(text)) {
        observer.disconnect();
        resolve(report(text));
      }
    };
    const observer = new MutationObserver(check);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
    check();
  });

const click = () => document.querySelector('button').click();

if (sessionStorage.getItem('reloaded') === null) {
  await reportOnce((text) => text === 'connected: one, two');
  await reportOnce((text) => text.includes('retrying'));
  await reportOnce((text) => text === 'connected: one, two, three');
  click();
  await reportOnce((text) => text === 'unmounted');
  // The reply waits until the connection is closed.
  await fetch('/unmounted');
  click();
  await reportOnce((text) => text === 'connected: four');
  sessionStorage.setItem('reloaded', 'true');
  location.reload();
} else {
  await reportOnce((text) => text === 'connected: five');
}
