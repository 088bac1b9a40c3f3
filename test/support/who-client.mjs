/**
 * A client process for the tests of identity: becomes the user it is told, then calls `test.Who` in
 * all four kinds of call, over and over. Says how many answers named it, and what others said.
 * Arguments: socket, uid, gid, a list of groups with commas, rounds.
 */
import { Client, credentials } from '@grpc/grpc-js'

const [socket, uid, gid, groups, rounds] = process.argv.slice(2)
process.setgroups(groups === '' ? [] : groups.split(',').map(Number))
process.setgid(Number(gid))
process.setuid(Number(uid))

const client = new Client(`unix:${socket}`, credentials.createInsecure())
const bytes = (value) => value
const own = `${process.pid}:${uid}:${gid}`
const wrong = []
let right = 0

function take(kind, answer) {
  if (String(answer) === own) right += 1
  else wrong.push(`${kind} ${answer}`)
}

const deadline = () => ({ deadline: Date.now() + 30_000 })

const ended = (stream, kind) =>
  new Promise((resolve) => {
    stream.on('data', (answer) => take(kind, answer))
    stream.on('error', (error) => take(kind, error.message))
    stream.on('end', resolve).on('error', resolve)
  })

async function round() {
  const unary = new Promise((resolve) => {
    client.makeUnaryRequest(
      '/test.Who/Unary',
      bytes,
      bytes,
      Buffer.alloc(0),
      deadline(),
      (error, answer) => {
        take('unary', error?.message ?? answer)
        resolve()
      },
    )
  })
  const clientStream = new Promise((resolve) => {
    const call = client.makeClientStreamRequest(
      '/test.Who/ClientStream',
      bytes,
      bytes,
      deadline(),
      (error, answer) => {
        take('client stream', error?.message ?? answer)
        resolve()
      },
    )
    call.write(Buffer.from('x'))
    call.end()
  })
  const serverStream = client.makeServerStreamRequest(
    '/test.Who/ServerStream',
    bytes,
    bytes,
    Buffer.alloc(0),
    deadline(),
  )
  const bidi = client.makeBidiStreamRequest('/test.Who/Bidi', bytes, bytes, deadline())
  bidi.write(Buffer.from('x'))
  bidi.write(Buffer.from('y'))
  bidi.end()
  await Promise.all([
    unary,
    clientStream,
    ended(serverStream, 'server stream'),
    ended(bidi, 'bidi'),
  ])
}

for (let i = 0; i < Number(rounds); i += 1) await round()
client.close()
console.log(JSON.stringify({ right, wrong }))
