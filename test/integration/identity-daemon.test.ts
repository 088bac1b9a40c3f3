/** Identity in the whole daemon: rules, delegates, namespaces, and what happens when owners end. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { OperatorClient, PasidClient, type PasidError } from '../../src/client/index.js'
import { EXIT } from '../../src/daemon/exits.js'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { connect } from '../../src/linux/fd-connection.js'
import {
  type InProcessDaemon,
  spawnDaemon,
  startChild,
  startInProcess,
  stopAll,
  temporaryFolder,
} from '../support/daemon.js'

const UID = process.getuid?.() ?? 0
const IS_ROOT = UID === 0
const ROOT_ONLY = 'only root can become other users'
const CLIENT = path.resolve(import.meta.dirname, '../../dist/client/index.js')
const OPEN_TO_ALL = `[daemon]
vmm_mode = "0666"
vmm_directory_mode = "0755"
`
const TENANTS = ['a', 'b', 'c'].map((name) => `[[tenant]]\nname = "${name}"\n`).join('')

const clients: { close(): void }[] = []
const children: ChildProcess[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await stopAll()
})

function vmm(socket: string): PasidClient {
  const client = new PasidClient({ socket })
  clients.push(client)
  return client
}

function tiny(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  children.push(child)
  return Object.assign(child, { pid: child.pid ?? -1 })
}

/** A folder that other users may go into. */
function openFolder(): string {
  const folder = temporaryFolder()
  fs.chmodSync(folder, 0o755)
  return folder
}

/**
 * Runs `body` in a process of its own, as another user; `client` is one for the socket in it.
 * Answers with what it returns, or the reason it failed with.
 */
function as(uid: number, socket: string, body: string): Promise<unknown> {
  const script = `
    import { PasidClient } from ${JSON.stringify(CLIENT)}
    process.setgroups([]); process.setgid(${uid}); process.setuid(${uid})
    const client = new PasidClient({ socket: ${JSON.stringify(socket)} })
    const run = async () => { ${body} }
    const failed = (error) => ({ reason: error.reason, message: error.message })
    console.log(JSON.stringify((await run().catch(failed)) ?? null))
    client.close()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  children.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += String(chunk)))
  }
  return new Promise((resolve, reject) => {
    child.once('close', () => {
      if (said.startsWith('{') || said.startsWith('"') || said.startsWith('[')) {
        resolve(JSON.parse(said))
      } else reject(new Error(said))
    })
  })
}

/** Hands the process over on the side socket; answers with what that says. */
async function handOver({ fdSocket }: { fdSocket: string }, pid: number): Promise<string> {
  const side = connect(fdSocket)
  if (side instanceof SyscallFailure) throw new Error(String(side))
  const answer = new Promise<string>((resolve) => side.onMessage(({ text }) => resolve(text)))
  const pidfd = native.pidfdOpen(pid)
  side.send('pidfd', [pidfd])
  native.close(pidfd)
  const text = await answer
  if (side.isOpen) side.close()
  return text
}

async function ownerToken(daemon: InProcessDaemon, pid: number): Promise<string> {
  const [word, token = ''] = (await handOver(daemon, pid)).split(' ')
  expect(word).toBe('token')
  return token
}

describe('rules', () => {
  test('make the tenant, by user; whom none is about is refused with the reason', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    const rules = `${TENANTS}
      [[identity.rule]]\nuid = 1001\ntenant = "a"
      [[identity.rule]]\ngid = 1002\ntenant = "b"
      [[identity.rule]]\nuid = 1003\nrole = "delegate"\ntenants = ["a", "b"]`
    const daemon = await startInProcess({ folder: openFolder(), toml: OPEN_TO_ALL + rules })
    const ask = 'return (await client.getServerInfo()).caller'
    const open = 'return (await (await client.openSession()).get()).tenant'
    const at = daemon.vmmSocket
    const answers = await Promise.all([
      as(1001, at, ask),
      as(1001, at, open),
      as(1002, at, open),
      as(1003, at, ask),
      as(1003, at, open),
      as(1004, at, open),
      // Health is for everybody.
      as(1004, at, 'return await client.health()'),
    ])
    expect(answers).toMatchObject([
      { tenant: 'tenants/a', delegateFor: [] },
      'tenants/a',
      'tenants/b',
      { delegateFor: ['tenants/a', 'tenants/b'] },
      { reason: 'ROLE_NOT_ALLOWED' },
      {
        reason: 'IDENTITY_REFUSED',
        message: expect.stringMatching(/no \[\[identity.rule\]\] is about this caller/),
      },
      'SERVING',
    ])
  })
  test('on cgroup and executable ask for what is read of the process', async () => {
    const executable = JSON.stringify(fs.realpathSync(process.execPath))
    const toml = `${TENANTS}
      [[identity.rule]]\ncgroup = "/no/such"\nexecutable = ${executable}\ntenant = "a"
      [[identity.rule]]\nexecutable = "/bin/false"\ntenant = "a"
      [[identity.rule]]\nexecutable = ${executable}\ntenant = "b"`
    const daemon = await startInProcess({ toml })
    const info = await vmm(daemon.vmmSocket).getServerInfo()
    expect(info.caller).toMatchObject({ tenant: 'tenants/b', process: { pid: process.pid } })
  })
  test('make operators and observers', async () => {
    const toml = `[[identity.operator]]\nrole = "observer"\nuid = ${UID}`
    const daemon = await startInProcess({ toml })
    const operator = new OperatorClient({ socket: daemon.adminSocket })
    clients.push(operator)
    expect(await operator.health()).toBe('SERVING')
    await vmm(daemon.vmmSocket).openSession()
    const end = operator.resumeReclaim({ reason: 'because' })
    await expect(end).rejects.toMatchObject({ reason: 'ROLE_NOT_ALLOWED' })
  })
  test('on executables are refused at start without the right to read them', async (ctx) => {
    ctx.skip(!IS_ROOT, 'only root has that right to lose')
    const toml = `[daemon]\n${TENANTS}[[identity.rule]]\nexecutable = "/usr/bin/qemu"\ntenant = "a"`
    const before = ['setpriv', '--bounding-set=-sys_ptrace']
    const daemon = spawnDaemon({ toml, before })
    expect(await daemon.ended).toMatchObject({ code: EXIT.CONFIG })
    expect(daemon.output).toMatch(/about the executable \/usr\/bin\/qemu.*CAP_SYS_PTRACE.*cgroup/)
  })
})

describe('a delegate', () => {
  const DELEGATE = `${TENANTS}
    [[identity.rule]]\nuid = ${UID}\nrole = "delegate"\ntenants = ["a"]
    [[identity.rule]]\nuid = ${UID}\ntenant = "c"`

  test('opens a session for a process, which ends with it and with nothing else', async () => {
    const daemon = await startInProcess({ toml: DELEGATE })
    const owner = tiny()
    const token = await ownerToken(daemon, owner.pid)
    const manager = vmm(daemon.vmmSocket)
    const session = await manager.openSession({ ownerToken: token, tenant: 'tenants/a' })
    await session.allocatePasids({ one: {} })
    expect(await session.get()).toMatchObject({
      tenant: 'tenants/a',
      owner: { pid: owner.pid, uid: UID },
    })
    await expect(
      manager.openSession({ ownerToken: token, tenant: 'tenants/a' }),
    ).rejects.toMatchObject({ reason: 'OWNER_TOKEN_INVALID' })
    const own = await manager.openSession()
    manager.close()
    const again = vmm(daemon.vmmSocket).session(session.name, session.token)
    expect(await again.get()).toMatchObject({ tenant: 'tenants/a' })
    owner.kill('SIGKILL')
    const gone = () => again.get().then(String, (error: unknown) => (error as PasidError).reason)
    await expect.poll(gone, { timeout: 10_000 }).toBe('SESSION_NOT_FOUND')
    expect(await vmm(daemon.vmmSocket).session(own.name, own.token).get()).toBeDefined()
    const log = daemon.lines.join('')
    expect(log).toMatch(new RegExp(`"cause":"EXIT".*"owner_pid":${owner.pid}.*"msg":"reclaimed"`))
    expect(await daemon.metrics.text()).toMatch('pasid_reclaimed_sessions_total{cause="exit"} 1')
  })
  test('cannot act for a tenant that is not its own to act for', async () => {
    const daemon = await startInProcess({ toml: DELEGATE })
    const token = await ownerToken(daemon, tiny().pid)
    const open = vmm(daemon.vmmSocket).openSession({ ownerToken: token, tenant: 'tenants/b' })
    await expect(open).rejects.toMatchObject({ reason: 'ROLE_NOT_ALLOWED' })
  })
  test('cannot use a token that another process was given', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    const folder = openFolder()
    const daemon = await startInProcess({ folder, toml: OPEN_TO_ALL + DELEGATE })
    const token = await ownerToken(daemon, tiny().pid)
    const call = `{ ownerToken: ${JSON.stringify(token)}, tenant: 'tenants/a' }`
    const answer = await as(0, daemon.vmmSocket, `return (await client.openSession(${call})).name`)
    expect(answer).toMatchObject({ reason: 'OWNER_TOKEN_INVALID' })
    // It is still good for whom it was given to.
    const session = await vmm(daemon.vmmSocket).openSession({
      ownerToken: token,
      tenant: 'tenants/a',
    })
    expect(session.name).toMatch('sessions/')
  })
  test('gets nothing for a process that ended meanwhile; others get no token', async () => {
    const daemon = await startInProcess({ toml: DELEGATE })
    const owner = tiny()
    const token = await ownerToken(daemon, owner.pid)
    const ended = new Promise((resolve) => owner.once('exit', resolve))
    owner.kill('SIGKILL')
    await ended
    const open = vmm(daemon.vmmSocket).openSession({ ownerToken: token, tenant: 'tenants/a' })
    await expect(open).rejects.toMatchObject({ reason: 'OWNER_ENDED' })
    const plain = await startInProcess({ folder: temporaryFolder() })
    expect(await handOver(plain, process.pid)).toMatch(/^refused user \d+ is no delegate/)
  })
})

describe('a session’s owner', () => {
  test('that ends gives everything back, and its processes are let go', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    const daemon = await startInProcess({ folder: openFolder(), toml: OPEN_TO_ALL })
    const body =
      'const s = await client.openSession(); await s.allocatePasids({ one: {} }); return s.name'
    expect(await as(1001, daemon.vmmSocket, body)).toMatch('sessions/')
    await expect.poll(() => daemon.broker.state.sessions.size, { timeout: 10_000 }).toBe(0)
    await expect.poll(() => daemon.processes.open).toBe(0)
  })
  test('alone may use its token', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    const daemon = await startInProcess({ folder: openFolder(), toml: OPEN_TO_ALL })
    const { name, token } = await vmm(daemon.vmmSocket).openSession()
    const body = `return (await client.session(${JSON.stringify(name)}, ${JSON.stringify(token)}).allocatePasids({ one: {} }))`
    expect(await as(0, daemon.vmmSocket, body)).toMatchObject({ reason: 'NOT_OWNER' })
  })
})

describe('a daemon that cannot see its callers', () => {
  const canUnshare = (...flags: string[]) => spawnSync('unshare', [...flags, 'true']).status === 0

  test('for its pid namespace: it warns, and refuses those outside on every call', async (ctx) => {
    ctx.skip(!canUnshare('--pid', '--fork'), 'this user may make no pid namespace')
    const before = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
    const daemon = await startChild({ before })
    expect(daemon.output).toMatch('the daemon is in a pid namespace of its own')
    const client = vmm(daemon.vmmSocket)
    for (const call of [() => client.openSession(), () => client.getServerInfo()]) {
      await expect(call()).rejects.toMatchObject({
        reason: 'IDENTITY_REFUSED',
        message: expect.stringMatching(/outside the daemon’s pid namespace; run caller and daemon/),
      })
    }
    expect(await client.health()).toBe('SERVING')
    await daemon.stop('SIGKILL')
  })
  test('for its user namespace: whoever has no number there is refused', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    ctx.skip(!canUnshare('--user', '--map-root-user'), 'this user may make no user namespace')
    const before = ['unshare', '--user', '--map-root-user']
    const daemon = await startChild({ folder: openFolder(), toml: OPEN_TO_ALL, before })
    expect(daemon.output).toMatch('the daemon is in a user namespace of its own')
    expect(await as(1001, daemon.vmmSocket, 'return await client.openSession()')).toMatchObject({
      reason: 'IDENTITY_REFUSED',
      message: expect.stringMatching(/user 65534 stands for all without one in the daemon’s/),
    })
    expect(await daemon.stop()).toMatchObject({ code: 0 })
  })
  test('a caller in namespaces of its own is seen as what it is outside', async (ctx) => {
    ctx.skip(!IS_ROOT, ROOT_ONLY)
    const flags = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child']
    ctx.skip(!canUnshare(...flags), 'this user may make no namespaces')
    const daemon = await startInProcess({ folder: openFolder(), toml: OPEN_TO_ALL })
    const script = `
      import { PasidClient } from ${JSON.stringify(CLIENT)}
      const client = new PasidClient({ socket: ${JSON.stringify(daemon.vmmSocket)} })
      const { caller } = await client.getServerInfo()
      console.log(JSON.stringify({ pid: process.pid, uid: process.getuid(), seen: caller.process }))
      client.close()`
    const command = ['--reuid=1001', '--regid=1001', '--clear-groups', 'unshare', ...flags]
    const node = [process.execPath, '--input-type=module', '-e', script]
    const child = spawn('setpriv', [...command, ...node])
    children.push(child)
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
    await new Promise((resolve) => child.once('close', resolve))
    const { pid, uid, seen } = JSON.parse(said) as { pid: number; uid: number; seen: object }
    expect([pid, uid]).toEqual([1, 0])
    expect(seen).toMatchObject({ uid: 1001, gid: 1001 })
    expect(seen).not.toMatchObject({ pid: 1 })
  })
})
