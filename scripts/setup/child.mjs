/**
 * Children of the scripts. Each gets a process group of its own, and the whole group ends with us:
 * on Ctrl-C, on SIGTERM, and when npm, which started us, is gone (npm 11 dies on SIGTERM and leaves
 * its child running).
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

const KILL_AFTER_MS = 5000
const PARENT_POLL_MS = 500
/** Captured output is shown later, perhaps in a file: without colours. */
const PLAIN = { NO_COLOR: '1', FORCE_COLOR: '0' }
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()
let ending = false

function signalGroup(child, signal) {
  if (child.pid === undefined) return // it never started
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/**
 * Ends every child group, waits until they are gone, then ends this process as the signal would.
 */
async function endAll(signal) {
  if (ending) return
  ending = true
  const gone = [...children].map((child) => {
    return new Promise((resolve) => {
      child.once('close', resolve)
      signalGroup(child, signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM')
      setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS).unref()
    })
  })
  await Promise.all(gone)
  process.exit(128 + SIGNALS[signal])
}

let guarded = false
/** From the first child on, signals are ours. Without one, Node's defaults are right. */
function guard() {
  if (guarded) return
  guarded = true
  for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal)
  watchParent(() => void endAll('SIGTERM'))
}

function onSignal(signal) {
  if (children.size === 0) process.exit(128 + SIGNALS[signal])
  void endAll(signal)
}

/** Gives the signals back, for the command that runs in this process after the set-up. */
export function releaseSignals() {
  for (const signal of Object.keys(SIGNALS)) process.off(signal, onSignal)
  guarded = false
}

function nameAndParent(pid) {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
  const close = stat.lastIndexOf(')')
  return {
    name: stat.slice(stat.indexOf('(') + 1, close),
    parent: stat.slice(close + 4).split(' ')[0],
  }
}

/** The parents up to the first that is not a shell: npm starts scripts through `sh -c`. */
function lineage() {
  const pids = [process.ppid]
  try {
    for (let hops = 0; hops < 3; hops++) {
      const { name, parent } = nameAndParent(pids.at(-1))
      if (name !== 'sh' && name !== 'dash' && name !== 'bash') break
      pids.push(Number(parent))
    }
  } catch {
    // A parent that ended in between shows as a changed lineage at the next look.
  }
  return pids.join(' ')
}

/** Did npm start this very script (and not one of its ancestors)? */
function startedByNpm() {
  const script = process.env.npm_lifecycle_script ?? ''
  return script.includes(path.basename(process.argv[1] ?? '-'))
}

let watching
/** Calls `onGone` once when npm started us and has ended. It does not keep the process alive. */
export function watchParent(onGone) {
  clearInterval(watching)
  if (!startedByNpm()) return
  const before = lineage()
  watching = setInterval(() => {
    if (lineage() === before) return
    clearInterval(watching)
    onGone()
  }, PARENT_POLL_MS)
  watching.unref()
}

/**
 * Runs a command. Answers with its exit code (128 + n for a signal) and, unless `inherit`, what it
 * wrote. `timeoutMs` ends the whole group.
 */
export function run(command, args, options = {}) {
  const { inherit = false, env = {}, cwd, timeoutMs, onOutput } = options
  guard()
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: inherit ? { ...process.env, ...env } : { ...process.env, ...PLAIN, ...env },
      detached: true,
      stdio: ['ignore', inherit ? 'inherit' : 'pipe', inherit ? 'inherit' : 'pipe'],
    })
    children.add(child)
    let output = ''
    let timedOut = false
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true
            signalGroup(child, 'SIGTERM')
            setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS).unref()
          }, timeoutMs)
    const keep = (chunk) => {
      output += chunk
      onOutput?.(String(chunk))
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    child.on('error', (error) => {
      output += `${command}: ${error.message}\n`
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      children.delete(child)
      if (!ending) resolve({ code: code ?? (signal ? 128 : 127), output, timedOut })
    })
  })
}
