/** Notices that the process that started us is gone, where nobody else would stop us then. */

/** A signal to npm ends npm alone; a quarter of a second later we follow. */
const POLL_MS = 250

/** Calls back once when the parent is another. The returned function ends the watch. */
export function watchParent(onGone: () => void): () => void {
  const before = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === before) return
    clearInterval(timer)
    onGone()
  }, POLL_MS)
  timer.unref()
  return () => clearInterval(timer)
}
