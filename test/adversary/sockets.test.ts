/**
 * Bad input at the sockets of a whole daemon: connections that say nothing or nonsense, descriptors
 * of every wrong kind, clients that die with their call under way. After all of it the daemon
 * serves, has as many descriptors open as before, agrees with itself, and nothing is held by
 * anybody.
 */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OperatorClient, PasidClient, type WatchEvent } from '../../src/client/index.js'
import { Agents } from '../support/adversary-agents.js'
import { collect } from '../support/adversary-world.js'
import { type ChildDaemon, startChild, stopAll, temporaryFolder } from '../support/daemon.js'

const UID = process.getuid?.() ?? 0
const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0
const SIDE = path.resolve(import.meta.dirname, '../helpers/adversary-side.py')
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
/** Too much, or too soon after what still has to be closed. */
const CUT = /^refused (the message was cut off|descriptors that you sent before are)/
const SIDE_ROUNDS = 10
const DEATHS = Number(process.env['DEATHS'] ?? 18)
/** Deaths at once. */
const LANES = 4
const ROUNDS = 3
const BLOCK = 8

/** `first_byte` is waited for, and yet enough for who speaks at once on a busy machine. */
const TOML = `[daemon]
vmm_tenant = "plain"
[namespace]
hold = "10ms"
[limits]
first_byte = "1500ms"
[[tenant]]
name = "plain"
[[identity.rule]]
uid = ${UID}
role = "delegate"
tenants = ["plain"]
[[identity.rule]]
uid = ${UID}
tenant = "plain"
`

/** Long enough to be told from silence at once. */
const HTTP1 = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(60, 'x')
const HANG_UP_MS = 300

let daemon: ChildDaemon
let agents: Agents
let operator: OperatorClient
let vmm: PasidClient
let baseline: number

const fdsOpen = () => fs.readdirSync(`/proc/${daemon.pid}/fd`).length

beforeEach(async () => {
  const folder = temporaryFolder()
  daemon = await startChild({ folder, toml: TOML })
  agents = await Agents.start(folder)
  operator = new OperatorClient({ socket: daemon.adminSocket })
  vmm = new PasidClient({ socket: daemon.vmmSocket })
  // What is opened once and kept is open before it is counted.
  const session = await vmm.openSession()
  await session.allocatePasids({ one: {} })
  await session.closeSession()
  await operator.check(30_000)
  await say(daemon.vmmSocket, HTTP1)
  baseline = await steadyFds()
})

afterEach(async () => {
  vmm.close()
  operator.close()
  await agents.stop()
  await stopAll()
})

/** As many as are open when nothing is on its way: several times the same. */
async function steadyFds(): Promise<number> {
  let last = fdsOpen()
  for (let same = 0; same < 10; ) {
    await sleep(50)
    const now = fdsOpen()
    same = now === last ? same + 1 : 0
    last = now
  }
  return last
}

/** Connects and says this; resolves when the other side has closed. */
function say(socket: string, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = net.connect(socket, () => {
      if (bytes.length > 0) connection.write(bytes)
    })
    connection.resume()
    connection.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    connection.on('close', () => resolve())
  })
}

/** The daemon serves, as before, and nobody has anything. */
async function judgeAsBefore(): Promise<void> {
  const held = async () => {
    const sessions = await collect(operator.sessions())
    const rows = await collect(operator.allocations())
    const tenants = await collect(operator.tenants())
    return [sessions.length, rows.length, ...tenants.map(({ usedPasids }) => usedPasids)]
  }
  await expect.poll(held, { timeout: 30_000 }).toEqual([0, 0, 0])
  await expect.poll(fdsOpen, { timeout: 30_000 }).toBe(baseline)
  expect(await operator.check(30_000)).toMatchObject({ consistent: true, problems: [] })
  const session = await vmm.openSession()
  await session.allocatePasids({ block: { size: BLOCK } })
  expect(await session.closeSession()).toMatchObject({ freed: BLOCK, durable: true })
  expect(daemon.output).not.toMatch('incident')
  expect(daemon.isRunning).toBe(true)
}

test('silence, HTTP/1, half a preface, and nonsense after a whole one', async () => {
  const frame = Buffer.concat([
    PREFACE,
    Buffer.from([0, 0, 4, 1, 5, 0, 0, 0, 1, 255, 255, 255, 255]),
  ])
  // Closed by the daemon.
  const cut = [
    '',
    HTTP1,
    'GET /metrics HTTP/1.0\r\n\r\n',
    PREFACE.subarray(0, 12),
    PREFACE.subarray(0, 32),
    Buffer.alloc(100, 0xff),
    // TLS, as a client that thinks this is one.
    Buffer.from('16030100f1010000ed0303', 'hex'),
  ]
  // After a whole preface nghttp2 is deaf for good, and Node does not read on: that the client is
  // gone is found by the next ping, or at once when its process has ended.
  const deaf = [PREFACE, Buffer.concat([PREFACE, Buffer.alloc(200, 0xff)]), frame]
  const lies = deaf.map((bytes) => bytes.toString('base64'))
  const liar = await agents.start('liar')
  let said = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const saying = [daemon.vmmSocket, daemon.adminSocket].flatMap((socket): Promise<unknown>[] => {
      return [
        ...[...cut, ...cut].map((bytes) => say(socket, bytes)),
        ...lies.map((base64) => liar.ask('say', { socket, base64, hangUpMs: HANG_UP_MS })),
      ]
    })
    said += saying.length
    expect(await vmm.health()).toBe('SERVING')
    await Promise.all(saying)
  }
  process.kill(liar.pid, 'SIGKILL')
  process.stdout.write(`sockets: ${said} connections that were not gRPC\n`)
  await judgeAsBefore()
})

/** What a right refusal of each case says; "" is a connection that is cut. */
const ANSWERS: Readonly<Record<string, RegExp>> = {
  'regular file': /^refused a regular file is no pidfd/,
  directory: /^refused a directory is no pidfd/,
  socket: /^refused a socket is no pidfd/,
  memfd: /^refused a regular file is no pidfd/,
  'character device': /^refused a character device is no pidfd/,
  pipe: /^refused what came is no pidfd/,
  eventfd: /^refused what came is no pidfd/,
  thread: /^refused a pidfd of a thread is no pidfd of a process/,
  'ended process': /^refused the process has ended/,
  zombie: /^refused the process has ended/,
  'no descriptor': /^refused no descriptor came with it/,
  two: /^refused 2 descriptors came with it/,
  four: /^refused 4 descriptors came with it/,
  five: CUT,
  'the most there may be': CUT,
  nothing: /^$/,
  garbage: /^refused the text is neither "pidfd"/,
  'no UTF-8': /^refused the text is neither "pidfd"/,
  'another word': /^refused the text is neither "pidfd"/,
  'too much': CUT,
  'far too much': CUT,
  'memory that is a device': /^refused .*device/,
  'memory that is a pipe': /^refused .*pipe/,
  'memory that is a pidfd': /^refused /,
  'a device for the emulator': /^refused this daemon has the emulator/,
  'a device without a device': /^refused 1 descriptor came with it; send two/,
  'a process': /^token$/,
  itself: /^token$/,
}

test('every wrong descriptor and text on the side socket', async (ctx) => {
  ctx.skip(!HAS_PYTHON, 'there is no python3')
  const socket = daemon.vmmSocket.replace('pasid.sock', 'fds.sock')
  const child = spawn('python3', [SIDE, socket, String(SIDE_ROUNDS), 'pidfd'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
  await expect.poll(() => said.endsWith('\n'), { timeout: 60_000 }).toBe(true)
  const { answers, token } = JSON.parse(said) as {
    answers: Record<string, string[]>
    token: string
  }
  for (const [name, answer] of Object.entries(ANSWERS)) {
    if (name === 'thread' && answers[name] === undefined) continue
    expect(answers[name], name).toBeDefined()
    for (const said of answers[name] ?? []) expect(said, name).toMatch(answer)
  }
  // Its process lives, but we are not it.
  const open = vmm.openSession({ ownerToken: token, tenant: 'tenants/plain' })
  await expect(open).rejects.toMatchObject({ reason: 'OWNER_TOKEN_INVALID' })
  child.kill('SIGKILL')
  process.stdout.write(`sockets: ${SIDE_ROUNDS} rounds of ${Object.keys(answers).length} cases\n`)
  // Silent ones are cut by themselves.
  await new Promise<void>((resolve) => child.once('close', () => resolve()))
  await judgeAsBefore()
})

/** What a watcher was told of numbers, by session. */
class Told {
  readonly granted = new Map<string, number>()
  readonly opened = new Set<string>()

  take({ numbers, session }: WatchEvent): void {
    if (session?.state === 'SESSION_STATE_OPEN') this.opened.add(session.name)
    if (numbers?.state !== 'ALLOCATION_STATE_IDLE') return
    const count = numbers.ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
    this.granted.set(numbers.session, (this.granted.get(numbers.session) ?? 0) + count)
  }
}

test('clients that are killed when they have asked: all of it happened, or none', async () => {
  const watch = operator.watch()
  const told = new Told()
  let watches = false
  const watching = (async () => {
    for await (const { response, change } of watch) {
      watches ||= response === 'started'
      for (const event of change?.events ?? []) told.take(event)
    }
  })()
  await expect.poll(() => watches, { timeout: 30_000 }).toBe(true)
  const names: string[] = []
  const die = async (at: number): Promise<void> => {
    const agent = await agents.start(`mortal-${at}`)
    const socket = daemon.vmmSocket
    const opened = await agent.must(socket, 'PasidBroker/OpenSession', {})
    const { name: session } = opened['session'] as { name: string }
    names.push(session)
    const ask = { socket, afterMs: at % 6, token: String(opened['token']) }
    const block = { session, block: { size: BLOCK } }
    const dying =
      at % 3 === 0
        ? { ...ask, method: 'PasidBroker/OpenSession', message: { labels: { of: session } } }
        : { ...ask, method: 'PasidBroker/AllocatePasids', message: block }
    await agent.ask('die', dying).catch(() => undefined)
    await agent.ended
  }
  const lane = async (first: number): Promise<void> => {
    for (let at = first; at < DEATHS; at += LANES) await die(at)
  }
  await Promise.all(Array.from({ length: LANES }, (_, first) => lane(first)))
  const left = async () => (await collect(operator.sessions())).length
  await expect.poll(left, { timeout: 30_000 }).toBe(0)
  const untold = () => names.filter((name) => !told.opened.has(name))
  await expect.poll(untold, { timeout: 30_000 }).toEqual([])
  watch.cancel()
  await watching
  expect([...new Set(told.granted.values())]).toEqual(told.granted.size > 0 ? [BLOCK] : [])
  const second = told.opened.size - names.length
  process.stdout.write(
    `sockets: ${DEATHS} killed as they asked: ${told.granted.size} grants and ${second} sessions ` +
      `were there whole, all reclaimed\n`,
  )
  await judgeAsBefore()
})
