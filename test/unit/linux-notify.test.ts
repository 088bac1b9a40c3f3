/** sd_notify against a real datagram socket. */
import crypto from 'node:crypto'
import fs from 'node:fs'
import { afterEach, expect, test, vi } from 'vitest'
import { notify } from '../../src/linux/notify.js'
import { Child, openFds, temporaryFolder } from '../native/children.js'

/** Other processes start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

const before = process.env.NOTIFY_SOCKET
afterEach(() => {
  if (before === undefined) delete process.env.NOTIFY_SOCKET
  else process.env.NOTIFY_SOCKET = before
})

/** Prints every datagram, and from whom it is. */
async function manager(name: string): Promise<Child> {
  const child = Child.python(
    `
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    server.bind(sys.argv[1].replace('@', chr(0)))
    say('bound')
    while True:
      data, control, flags, address = server.recvmsg(4096, 64)
      pid = array.array('i', control[0][2])[0]
      say(repr((data.decode(), pid)))
  `,
    name,
  )
  await child.line()
  process.env.NOTIFY_SOCKET = name
  return child
}

test.each(['a path', 'an abstract name'])('reaches the manager by %s', async (kind) => {
  const random = crypto.randomBytes(8).toString('hex')
  const child = await manager(kind === 'a path' ? `${temporaryFolder()}/notify` : `@${random}`)
  const open = openFds()
  expect(notify('READY=1\nSTATUS=serving \u00e9')).toBe(true)
  expect(await child.line()).toBe(`('READY=1\\nSTATUS=serving \u00e9', ${process.pid})`)
  expect(notify('STOPPING=1')).toBe(true)
  expect(await child.line()).toBe(`('STOPPING=1', ${process.pid})`)
  expect(openFds()).toBe(open)
})

test('says no where nobody asked, and where nobody listens', async () => {
  delete process.env.NOTIFY_SOCKET
  expect(notify('READY=1')).toBe(false)
  for (const name of ['', 'relative', 'vsock:2:1234', '/no/such/socket', `/${'x'.repeat(200)}`]) {
    process.env.NOTIFY_SOCKET = name
    expect(notify('READY=1')).toBe(false)
  }
  const child = await manager(`${temporaryFolder()}/notify`)
  await child.kill()
  const open = openFds()
  expect(notify('READY=1')).toBe(false)
  expect(openFds()).toBe(open)
})

test('does not wait for a manager that does not read', async () => {
  const child = await manager(`${temporaryFolder()}/notify`)
  child.process.kill('SIGSTOP')
  let sent = 0
  while (notify('WATCHDOG=1')) sent++
  expect(sent).toBeGreaterThan(0)
})

test('gives the manager descriptors, which stay ours too', async () => {
  const name = `${temporaryFolder()}/notify`
  const child = Child.python(
    `
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(sys.argv[1])
    say('bound')
    while True:
      data, fds, flags, address = socket.recv_fds(server, 4096, 253)
      say(repr((data.decode(), [os.pread(fd, 10, 0).decode() for fd in fds[:2]], len(fds))))
      for fd in fds: os.close(fd)
  `,
    name,
  )
  await child.line()
  process.env.NOTIFY_SOCKET = name
  const folder = temporaryFolder()
  const fds = ['one', 'two'].map((text) => {
    fs.writeFileSync(`${folder}/${text}`, text)
    return fs.openSync(`${folder}/${text}`, 'r')
  })
  const before = openFds()
  expect(notify('FDSTORE=1\nFDNAME=a', fds)).toBe(true)
  expect(await child.line()).toBe(`('FDSTORE=1\\nFDNAME=a', ['one', 'two'], 2)`)
  const [first = -1] = fds
  expect(notify('FDSTORE=1', Array<number>(253).fill(first))).toBe(true)
  expect(await child.line()).toBe(`('FDSTORE=1', ['one', 'one'], 253)`)
  // More than a message can have, and one that is not open: nothing is sent.
  expect(notify('FDSTORE=1', Array<number>(254).fill(first))).toBe(false)
  expect(notify('FDSTORE=1', [-1])).toBe(false)
  expect(notify('READY=1', [])).toBe(true)
  expect(await child.line()).toBe(`('READY=1', [], 0)`)
  expect(openFds()).toBe(before)
  for (const fd of fds) fs.closeSync(fd)
})
