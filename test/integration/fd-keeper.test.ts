/**
 * Descriptors over a restart of the daemon: kept by a service manager, another process, that does
 * what systemd does with FDSTORE=1 (test/support/fd-store.py).
 */
import fs from 'node:fs'
import path from 'node:path'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ManagerFdKeeper } from '../../src/daemon/fd-keeper.js'
import { KEPT_LET_GO } from '../../src/daemon/log-fields.js'
import { systemClock } from '../../src/daemon/ports.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { openFds, temporaryFolder } from '../native/children.js'
import { FdStore } from '../support/fd-store.js'
import { copySource } from '../support/source-copy.js'

/** Other processes start here, on a machine that may be busy. */
vi.setConfig({ testTimeout: 120_000 })

interface Rig {
  readonly store: FdStore
  readonly keeper: ManagerFdKeeper
  readonly lines: readonly string[]
}

function newKeeper(): { readonly keeper: ManagerFdKeeper; readonly lines: readonly string[] } {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const keeper = new ManagerFdKeeper({ clock: systemClock, log })
  onTestFinished(() => keeper.close())
  return { keeper, lines }
}

async function start(): Promise<Rig> {
  const store = await FdStore.start()
  store.adoptUs()
  return { store, ...newKeeper() }
}

/** A file with this text. */
function fileOf(text: string): OwnedFd {
  const name = path.join(temporaryFolder(), 'file')
  fs.writeFileSync(name, text)
  return new OwnedFd(fs.openSync(name, 'r'), 'a file of the test')
}

/** What the next life of the daemon finds, by name; and what it does then. */
async function nextLife(store: FdStore, then = ''): Promise<Record<string, string>> {
  const folder = copySource('src/daemon/fd-keeper.ts', 'src/daemon/ports.ts')
  const body = `
    import fs from 'node:fs'
    import { ManagerFdKeeper } from './src/daemon/fd-keeper.js'
    import { systemClock } from './src/daemon/ports.js'
    const log = { warn() {} }
    const keeper = new ManagerFdKeeper({ clock: systemClock, log })
    const kept = keeper.takeKept()
    const read = (fd) => { const all = Buffer.alloc(99); return String(all.subarray(0, fs.readSync(fd.number, all, 0, 99, 0))) }
    console.log(JSON.stringify(Object.fromEntries([...kept].map(([name, fd]) => [name, read(fd)]))))
    ${then}
    keeper.close()
  `
  const file = path.join(folder, 'life.mjs')
  fs.writeFileSync(file, body)
  await store.run([process.execPath, file])
  const found = JSON.parse(await store.child.line()) as Record<string, string>
  expect(await store.ask('wait')).toBe('ended 0')
  return found
}

describe('a descriptor', () => {
  test('is kept until it is dropped, and found by every life after', async () => {
    const { store, keeper } = await start()
    const [one, two] = [fileOf('one'), fileOf('two')]
    const begun = openFds()
    keeper.keep('vfio.1.gpu0.cdev', one)
    keeper.keep('vfio.1.gpu0.fault', two)
    expect(openFds()).toBe(begun)
    one.close()
    two.close()
    expect(await store.names()).toEqual(['vfio.1.gpu0.cdev', 'vfio.1.gpu0.fault'])
    const both = { 'vfio.1.gpu0.cdev': 'one', 'vfio.1.gpu0.fault': 'two' }
    expect(await nextLife(store)).toEqual(both)
    expect(await nextLife(store, "keeper.drop('vfio.1.gpu0.cdev')")).toEqual(both)
    expect(await store.names()).toEqual(['vfio.1.gpu0.fault'])
    expect(await nextLife(store)).toEqual({ 'vfio.1.gpu0.fault': 'two' })
  })
  test('is kept under two names when it is the same open file', async () => {
    const { store, keeper } = await start()
    const file = fileOf('iommufd')
    keeper.keep('a', file)
    keeper.keep('b', file)
    file.close()
    keeper.drop('a')
    expect(await store.names()).toEqual(['b'])
    expect(await nextLife(store)).toEqual({ b: 'iommufd' })
  })
  test('takes the place of another with its name', async () => {
    const { store, keeper } = await start()
    const [one, two] = [fileOf('one'), fileOf('two')]
    keeper.keep('a', one)
    keeper.keep('a', two)
    expect(await store.names()).toEqual(['a'])
    expect(await nextLife(store)).toEqual({ a: 'two' })
    one.close()
    two.close()
  })
  test('of memory that both lives write', async () => {
    const { store, keeper } = await start()
    const memory = keeper.createMemory('vfio.1.gpu0.memory')
    keeper.keep('vfio.1.gpu0.memory', memory)
    // After it was kept: it is memory, not a copy of it.
    fs.writeSync(memory.number, 'before', 0)
    const then = `fs.writeSync(kept.get('vfio.1.gpu0.memory').number, 'after!', 0)`
    expect(await nextLife(store, then)).toEqual({ 'vfio.1.gpu0.memory': 'before' })
    expect(await nextLife(store)).toEqual({ 'vfio.1.gpu0.memory': 'after!' })
    memory.close()
  })
  test('is let go of by a daemon that takes none, which says so once a device', async () => {
    const { store, keeper } = await start()
    const file = fileOf('one')
    for (const name of ['a', 'vfio.7.gpu0.cdev', 'vfio.7.gpu0.iommufd', 'vfio.8.gpu1.memory']) {
      keeper.keep(name, file)
    }
    file.close()
    const folder = copySource('src/daemon/start-backend.ts')
    const life = path.join(folder, 'life.mjs')
    fs.writeFileSync(
      life,
      `
      import { startBackend } from './src/daemon/start-backend.js'
      const said = []
      const log = { warn: ({ device, session, problem }, text) => said.push([device, session, problem, text]) }
      const config = { backend: { kind: 'emulator', devices: [] } }
      await startBackend({ config, log, hostRoot: '/' }).close()
      console.log(JSON.stringify(said))
    `,
    )
    await store.run([process.execPath, life])
    const why = ['the emulator takes no devices of the host', KEPT_LET_GO]
    const told = [
      ['gpu0', '#7', ...why],
      ['gpu1', '#8', ...why],
    ]
    expect(JSON.parse(await store.child.line())).toEqual(told)
    expect(await store.ask('wait')).toBe('ended 0')
    expect(await store.names()).toEqual([])
  })
})

/** More than a manager's queue holds that does not read. */
function manyNames(): readonly string[] {
  const queue = fs.readFileSync('/proc/sys/net/unix/max_dgram_qlen', 'utf8')
  return Array.from({ length: Number(queue) + 50 }, (_, at) => `n${at}`)
}

describe('a manager that does not read for a while', () => {
  test('is told everything in order when it does, and nothing that was dropped meanwhile', async () => {
    const { store, keeper } = await start()
    await store.ask('pause')
    const file = fileOf('x')
    const begun = openFds()
    const names = manyNames()
    for (const name of names) keeper.keep(name, file)
    expect(openFds()).toBeGreaterThan(begun)
    keeper.drop(names.at(-1) ?? '')
    keeper.drop('n0')
    await store.ask('resume')
    const left = names.slice(1, -1)
    await expect.poll(() => store.names(), { timeout: 60_000 }).toEqual(left)
    expect(openFds()).toBe(begun)
    file.close()
  })
  test('keeps no descriptor of a daemon that has ended', async () => {
    const { store, keeper } = await start()
    await store.ask('pause')
    const file = fileOf('x')
    const begun = openFds()
    for (const name of manyNames()) keeper.keep(name, file)
    expect(openFds()).toBeGreaterThan(begun)
    keeper.close()
    expect(openFds()).toBe(begun)
    file.close()
  })
})

describe('what cannot be kept', () => {
  test('without a manager: said once, at the start, and nothing is held', () => {
    const before = process.env.NOTIFY_SOCKET
    delete process.env.NOTIFY_SOCKET
    onTestFinished(() => {
      if (before !== undefined) process.env.NOTIFY_SOCKET = before
    })
    const { keeper, lines } = newKeeper()
    const file = fileOf('x')
    const begun = openFds()
    expect(keeper.takeKept().size).toBe(0)
    keeper.keep('a', file)
    keeper.keep('b', file)
    keeper.drop('a')
    expect(openFds()).toBe(begun)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/no service manager keeps descriptors: .* are LOST when the daemon is/)
    file.close()
  })
  test('more than the manager has room for: said once, with what to do', async () => {
    const { keeper, lines } = await start()
    process.env['FDSTORE'] = '2'
    onTestFinished(() => {
      delete process.env['FDSTORE']
    })
    const file = fileOf('x')
    keeper.keep('a', file)
    keeper.keep('b', file)
    expect(lines).toEqual([])
    keeper.keep('c', file)
    keeper.keep('d', file)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch('keeps 2 descriptors; raise FileDescriptorStoreMax')
    file.close()
  })
  test('what the manager has that is not ours, and two of one name: forgotten', async () => {
    const { store, keeper } = await start()
    const [one, two] = [fileOf('one'), fileOf('two')]
    keeper.keep('a', one)
    // Another life that was killed between the two messages of an exchange.
    newKeeper().keeper.keep('a', two)
    keeper.keep('b', two)
    const { notify } = await import('../../src/linux/notify.js')
    notify('FDSTORE=1\nFDNAME=plain\nFDPOLL=0', [one.number])
    expect(await store.names()).toEqual(['a', 'a', 'b', 'plain'])
    expect(await nextLife(store)).toEqual({ b: 'two' })
    expect(await store.names()).toEqual(['b'])
    one.close()
    two.close()
  })
  test.each(['', 'a:b', 'a\nb', 'ä', 'x'.repeat(256)])('a name such as %j is a bug', (name) => {
    const { keeper } = newKeeper()
    const file = fileOf('x')
    expect(() => keeper.keep(name, file)).toThrow('has a name of printable ASCII')
    file.close()
  })
})
