/**
 * What the RPC bench measures against: a server that does nothing. The same kind of socket, the
 * same connection injection, server and loader options and the same messages as pasidd's, but no
 * interceptors and handlers that answer at once with a constant. Runs in a process of its own,
 * started by rpc-hosts.ts: node build/bench/echo-server.js SOCKET
 */

import net from 'node:net'
import process from 'node:process'
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
} from '@grpc/grpc-js'
import { DEFAULT_SERVICE_LIMITS } from '../src/service/limits.js'
import { serverOptions } from '../src/service/server-options.js'
import { pasidBrokerDefinition } from '../src/wire/load.js'
import type { ControlRequest__Output } from '../src/wire/generated/pasid/v1/ControlRequest.js'
import type { ControlResponse } from '../src/wire/generated/pasid/v1/ControlResponse.js'
import { ECHO_ANSWERS } from './echo-answers.js'

type ControlCall = ServerDuplexStream<ControlRequest__Output, ControlResponse>

function answerAtOnce<Response>(response: Response) {
  return (_call: unknown, callback: sendUnaryData<Response>): void => callback(null, response)
}

function control(call: ControlCall): void {
  call.on('data', ({ id, command }: ControlRequest__Output) => {
    if (command !== undefined) call.write({ id, ...ECHO_ANSWERS[command] })
  })
  call.on('end', () => call.end())
  call.on('error', () => undefined)
}

const [socket] = process.argv.slice(2)
if (socket === undefined) throw new Error('usage: echo-server SOCKET')
const server = new Server(serverOptions(DEFAULT_SERVICE_LIMITS))
server.addService(pasidBrokerDefinition, {
  OpenSession: answerAtOnce({ session: { name: 'sessions/echo' }, token: 'x'.repeat(43) }),
  AttachDevice: answerAtOnce(ECHO_ANSWERS.attachDevice.attachDevice),
  AllocatePasids: answerAtOnce(ECHO_ANSWERS.allocatePasids.allocatePasids),
  FreePasids: answerAtOnce(ECHO_ANSWERS.freePasids.freePasids),
  Control: control,
})
const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
let connections = 0
const listener = net.createServer((connection) => {
  connection.on('error', () => undefined)
  connections += 1
  Object.defineProperty(connection, 'remoteAddress', { value: `unix:connection=${connections}` })
  injector.injectConnection(connection)
})
// Whoever started us is gone: nobody else will end us.
process.on('disconnect', () => process.exit(0))
listener.listen(socket, () => process.send?.('ready'))
