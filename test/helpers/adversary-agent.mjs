/**
 * A process for the tests of identity: becomes the user it is told, then does what comes by the
 * control socket, one JSON line a request and one an answer. Holds: what it is told of the daemon's
 * answers it hands back whole; whom it takes itself for is the kernel's word, not the test's.
 * Arguments: control socket, name; then, to become a user: uid, gid, groups with commas.
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { PasidClient, PasidError } from '../../dist/client/index.js'
import { Channel } from '../../dist/client/channel.js'
import { connect } from '../../dist/linux/fd-connection.js'
import { native } from '../../dist/linux/addon.js'
import {
  emulatorLabDefinition as EmulatorLab,
  operatorDefinition as Operator,
  pasidBrokerDefinition as PasidBroker,
  vfioUapiDefinition as VfioUapi,
} from '../../dist/wire/load.js'
import { callOn, connectionOn, dieAfterWrite } from './adversary-http2.mjs'
import { Racer } from './adversary-racer.mjs'
import { work } from './adversary-work.mjs'

const SELF = fileURLToPath(import.meta.url)
const [controlPath, name, uid, gid, groups = ''] = process.argv.slice(2)
if (uid !== undefined) {
  process.setgroups(groups === '' ? [] : groups.split(',').map(Number))
  process.setgid(Number(gid))
  process.setuid(Number(uid))
}

const OWN_CONNECTION = { 'grpc.use_local_subchannel_pool': 1 }
const channels = new Map()
/** Connections that the parent made, from descriptor 3 on. */
const inherited = []

const SERVICES = { EmulatorLab, Operator, PasidBroker, VfioUapi }

function channelOf(socket) {
  let channel = channels.get(socket)
  if (channel === undefined) {
    const settings = { socket, retry: { attempts: 1 }, channelOptions: OWN_CONNECTION }
    channel = new Channel(settings)
    channels.set(socket, channel)
  }
  return channel
}

function refusalOf(error) {
  if (!(error instanceof PasidError)) throw error
  const { code, reason, message, metadata } = error
  return { ok: false, code, reason, message, metadata }
}

const accept = (value) => ({ ok: true, value })
const answered = (promise) => promise.then(accept, refusalOf)

function definitionOf(method) {
  const [service, verb] = method.split('/')
  return SERVICES[service][verb]
}

/** What the side socket says to the text and these descriptors, which are closed here. */
async function askSide(socket, text, fds) {
  const side = connect(socket)
  if (!('onMessage' in side)) throw new Error(String(side))
  const answer = new Promise((resolve) => side.onMessage((message) => resolve(message.text)))
  side.send(text, fds)
  for (const fd of fds) native.close(fd)
  const said = await answer
  if (side.isOpen) side.close()
  return said
}

const DO = {
  call: ({ socket, method, message, token }) =>
    answered(channelOf(socket).call(definitionOf(method), message, { token })),

  /** Opens a Control stream, sends the commands one after the other. */
  async control({ socket, session, token, commands }) {
    const client = new PasidClient({ socket, channelOptions: OWN_CONNECTION })
    try {
      const opened = await answered(client.session(session, token).control())
      if (!opened.ok) return { opened, answers: [] }
      const answers = []
      for (const [command, request] of commands) {
        answers.push(await answered(opened.value.send(command, request)))
      }
      await opened.value.close()
      return { opened: accept({}), answers }
    } finally {
      client.close()
    }
  },

  /** The daemon's word on the side socket about the process with this number. */
  handOver: ({ socket, pid }) => askSide(socket, 'pidfd', [native.pidfdOpen(pid)]),

  /** About a memfd of so many bytes. */
  async sendMemory({ socket, bytes }) {
    const memfd = native.memfdCreate('guest memory')
    fs.ftruncateSync(memfd, bytes)
    return askSide(socket, 'memory', [memfd])
  },

  /** About files that this process opens for reading and writing. */
  sendFiles: ({ socket, text, files }) =>
    askSide(
      socket,
      text,
      files.map((file) => fs.openSync(file, 'r+')),
    ),

  /** Connects so often, and hands the connections to a child, which is an agent too. */
  async bear({ socket, child, connections }) {
    const made = []
    for (let i = 0; i < connections; i += 1) {
      // What the daemon says first is for the child to read.
      const connection = new net.Socket().pause()
      await new Promise((resolve, reject) => {
        connection.on('error', reject).connect(socket, resolve)
      })
      made.push(connection)
    }
    const stdio = ['ignore', 'inherit', 'inherit', ...made]
    spawn(process.execPath, [SELF, controlPath, child], { stdio })
    return made.length
  },

  /** Speaks HTTP/2 on them from here on. */
  async inherit({ connections }) {
    for (let i = 0; i < connections; i += 1) inherited.push(await connectionOn(3 + i))
    return inherited.length
  },
  callInherited: ({ at, method, message, token }) =>
    callOn(inherited[at], definitionOf(method), message, token),

  /** Says this to the socket, and hangs up after a while. */
  say: ({ socket, base64, hangUpMs }) =>
    new Promise((resolve, reject) => {
      const connection = net.connect(socket, () => connection.write(Buffer.from(base64, 'base64')))
      setTimeout(() => connection.destroy(), hangUpMs)
      connection.resume().on('close', resolve)
      connection.on('error', ({ code }) => {
        if (code !== 'ECONNRESET' && code !== 'EPIPE') reject(new Error(code))
      })
    }),

  work: (request) => work({ ...request, pid: request.pid ?? process.pid }),

  async raceOpen({ socket, count, index }) {
    racer = new Racer(socket, index)
    await racer.open(count)
    return count
  },
  race: ({ step, asks }) => racer[step](asks),

  /** Never answers: it is dead by then. */
  die: ({ socket, method, message, token, afterMs }) =>
    dieAfterWrite({ socket, definition: definitionOf(method), message, token, afterMs }),
}

let racer
const control = net.connect(controlPath)
const say = (message) => control.write(`${JSON.stringify(message)}\n`)
control.on('connect', () => say({ hello: name, pid: process.pid, uid: process.getuid() }))
// Its test is over, or gone.
control.on('close', () => process.exit(0)).on('error', () => process.exit(0))
for await (const line of readline.createInterface({ input: control })) {
  const { id, what, ...request } = JSON.parse(line)
  void DO[what](request).then(
    (value) => say({ id, value }),
    (error) => say({ id, error: String(error?.stack ?? error) }),
  )
}
