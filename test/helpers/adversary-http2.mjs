/**
 * gRPC by hand over a connection that somebody else has made, or that is left in the middle of a
 * call: what no honest client library does.
 */
import http2 from 'node:http2'
import net from 'node:net'
import { decodeStatus } from '../../dist/wire/details.js'

/** An HTTP/2 session on the descriptor, with the preface said. */
export function connectionOn(fd) {
  return sessionOn(new net.Socket({ fd, readable: true, writable: true }))
}

function sessionOn(socket) {
  socket.on('error', () => undefined)
  const session = http2.connect('http://localhost', { createConnection: () => socket })
  session.on('error', () => undefined)
  return new Promise((resolve) => session.once('remoteSettings', () => resolve(session)))
}

function frameOf(definition, message) {
  const body = definition.requestSerialize(message)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

function headersOf(definition, token) {
  const headers = {
    ':method': 'POST',
    ':path': definition.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  }
  return token === undefined ? headers : { ...headers, 'pasid-session-token': token }
}

function endOf(trailers) {
  const code = Number(trailers['grpc-status'])
  const details = trailers['grpc-status-details-bin']
  const facts =
    details === undefined ? { reason: '' } : decodeStatus(Buffer.from(String(details), 'base64'))
  const { reason, metadata } = facts
  return { ok: false, code, reason, message: trailers['grpc-message'] ?? '', metadata }
}

/** The answer; `reason` is CUT when the connection went without one. */
export function callOn(session, definition, message, token) {
  const cut = {
    ok: false,
    code: 14,
    reason: 'CUT',
    message: 'the connection is gone',
    metadata: {},
  }
  if (session.closed || session.destroyed) return Promise.resolve(cut)
  return new Promise((resolve) => {
    const stream = session.request(headersOf(definition, token))
    const chunks = []
    let end
    const take = (trailers) => {
      if (trailers['grpc-status'] !== undefined) end = endOf(trailers)
    }
    stream.on('response', take).on('trailers', take)
    stream.on('data', (chunk) => chunks.push(chunk))
    stream.on('error', () => resolve(cut))
    stream.on('close', () => {
      if (end === undefined) resolve(cut)
      else if (end.code !== 0) resolve(end)
      else
        resolve({
          ok: true,
          value: definition.responseDeserialize(Buffer.concat(chunks).subarray(5)),
        })
    })
    stream.end(frameOf(definition, message))
  })
}

/** Sends the request and kills this process, so many milliseconds after it was written. */
export async function dieAfterWrite({ socket, definition, message, token, afterMs }) {
  const connection = net.connect(socket)
  const session = await sessionOn(connection)
  const stream = session.request(headersOf(definition, token))
  stream.end(frameOf(definition, message))
  const kill = () => process.kill(process.pid, 'SIGKILL')
  await new Promise((resolve) => stream.once('finish', resolve))
  setTimeout(kill, afterMs)
  await new Promise(() => undefined)
}
