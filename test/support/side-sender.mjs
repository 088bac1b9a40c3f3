/**
 * Sends one message on the side socket, prints the answer, and waits to be killed. Arguments: the
 * socket, the word, the files to send with it; none: a memfd.
 */
import fs from 'node:fs'
import { native } from '../../dist/linux/addon.js'
import { connect } from '../../dist/linux/fd-connection.js'

const [socket, word, ...files] = process.argv.slice(2)
const side = connect(socket)
if (!('onMessage' in side)) throw new Error(String(side))
side.onMessage(({ text }) => process.stdout.write(`${text}\n`))
const fds = files.map((file) => fs.openSync(file, 'r+'))
if (fds.length === 0) {
  fds.push(native.memfdCreate('memory'))
  fs.ftruncateSync(fds[0], 4096)
}
side.send(word, fds)
setInterval(() => undefined, 60_000)
