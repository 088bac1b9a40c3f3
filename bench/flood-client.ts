/**
 * A process that floods: so many unary calls under way on so many connections, each begun as the
 * one before it ends, whatever it was answered. Begins and ends when it is told to.
 */

import { Client, credentials, Metadata } from '@grpc/grpc-js'
import process from 'node:process'
import { pasidBrokerDefinition } from '../src/wire/load.js'
import type { FloodAsked, FloodSaid } from './flood-task.js'

const METHOD = pasidBrokerDefinition.OpenSession
const TIMEOUT_MS = 60_000

const clients: Client[] = []
let running = false
let answered = 0
let refused = 0

function one(client: Client): void {
  // Also of a flood that has ended: its clients are closed.
  if (!running || !clients.includes(client)) return
  client.makeUnaryRequest(
    METHOD.path,
    METHOD.requestSerialize,
    METHOD.responseDeserialize,
    // Refused after it was decoded, authenticated and metered: the costliest call that changes
    // nothing.
    { maxPasids: 2 ** 20 },
    new Metadata(),
    { deadline: Date.now() + TIMEOUT_MS },
    (error) => {
      if (error?.message.includes('max_pasids') === true) answered += 1
      else refused += 1
      one(client)
    },
  )
}

function begin(asked: FloodAsked & { kind: 'begin' }): void {
  for (let i = 0; i < asked.connections; i += 1) {
    // Without it grpc-js gives all clients of a process one connection.
    const options = { 'grpc.use_local_subchannel_pool': 1 }
    clients.push(new Client(`unix:${asked.socket}`, credentials.createInsecure(), options))
  }
  running = true
  for (const client of clients) for (let i = 0; i < asked.inFlight; i += 1) one(client)
}

const say = (message: FloodSaid): void => void process.send?.(message)
process.on('disconnect', () => process.exit(0))
process.on('message', (asked: FloodAsked) => {
  if (asked.kind === 'begin') return begin(asked)
  running = false
  for (const client of clients.splice(0)) client.close()
  say({ answered, refused })
  answered = 0
  refused = 0
})
