/**
 * Who calls, at full size: clients of different users and groups, and one in namespaces of its own,
 * all at once, over every kind of call. Each holds every answer against what it is; the operator's
 * view afterwards must charge each with what it opened, and with nothing else. CALLS=n for more.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { afterEach, expect, test } from 'vitest'
import { OperatorClient, rowsOf } from '../../src/client/index.js'
import { Agents, type User } from '../support/adversary-agents.js'
import { startChild, stopAll, temporaryFolder } from '../support/daemon.js'

const CALLS = Number(process.env['CALLS'] ?? 1000)
const IS_ROOT = process.getuid?.() === 0
const ROOT_ONLY = 'only root can become other users'
const AGENT = path.resolve(import.meta.dirname, '../helpers/adversary-agent.mjs')
const NAMESPACES = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child']
/** A session is opened at every so many rounds of a client's lanes; commands on its stream. */
const STREAM_EVERY = 16
const COMMANDS = 16

/**
 * The first is found by its uid, the next by a supplementary group, then primary group, and both.
 */
const CLIENTS = [
  { tenant: 'red', role: 'observer', user: { uid: 3101, gid: 3201, groups: [3301] } },
  { tenant: 'green', role: 'operator', user: { uid: 3102, gid: 3202, groups: [3302, 3309] } },
  { tenant: 'blue', role: '', user: { uid: 3103, gid: 3203, groups: [] } },
  { tenant: 'white', role: 'observer', user: { uid: 3104, gid: 3204, groups: [3302, 3203] } },
] as const
const NAMESPACED = { tenant: 'black', role: 'observer', user: { uid: 3105, gid: 3205, groups: [] } }

/**
 * Whom no rule knows keeps a connection for `first_byte`: longer than all of this takes, or a call
 * under way would be cut with it.
 */
const TOML = `[daemon]
vmm_mode = "0666"
vmm_directory_mode = "0755"
admin_mode = "0666"
admin_directory_mode = "0755"
${['red', 'green', 'blue', 'white', 'black'].map((name) => `[[tenant]]\nname = "${name}"`).join('\n')}
[[identity.rule]]
uid = 3104
gid = 3204
tenant = "white"
[[identity.rule]]
uid = 3101
tenant = "red"
[[identity.rule]]
gid = 3302
tenant = "green"
[[identity.rule]]
gid = 3203
tenant = "blue"
[[identity.rule]]
uid = 3105
tenant = "black"
[[identity.operator]]
uid = 0
[[identity.operator]]
gid = 3309
[[identity.operator]]
role = "observer"
uid = 3101
[[identity.operator]]
role = "observer"
gid = 3302
[[identity.operator]]
role = "observer"
uid = 3105
[limits]
calls_per_second = 0
first_byte = "10m"
`

let agents: Agents | undefined
const clients: { close(): void }[] = []

afterEach(async () => {
  await agents?.stop()
  for (const client of clients.splice(0)) client.close()
  await stopAll()
})

interface Done {
  readonly calls: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
  readonly wrongCount: number
  readonly sessions: readonly string[]
  readonly pasids: readonly number[]
}

interface Client {
  readonly tenant: string
  readonly role: string
  readonly user: User
  readonly done: Done
  readonly process: { readonly pid: number; readonly uid: number; readonly gid: number }
}

/** As an ordinary user; undefined: it can be done, else why not. */
function noNamespaces({ uid, gid }: User): string | undefined {
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  const node = [process.execPath, '-e', `require('fs').accessSync(${JSON.stringify(AGENT)})`]
  const { status, stderr, error } = spawnSync('setpriv', [...ids, ...NAMESPACES, ...node])
  return status === 0 ? undefined : `${error?.message ?? ''}${String(stderr)}`
}

/** Of the process that `unshare --fork` has made: the number that it has here. */
function onlyChildOf(pid: number): number {
  return Number(fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim())
}

function work(pid: number | undefined, { tenant, role, user }: Omit<Client, 'done' | 'process'>) {
  const facts = { tenant: `tenants/${tenant}`, role, uid: user.uid, gid: user.gid, pid }
  return { ...facts, rounds: CALLS, streamEvery: STREAM_EVERY, commands: COMMANDS }
}

async function collect<Row>(pages: AsyncIterable<readonly Row[]>): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of rowsOf(pages as AsyncGenerator<readonly Row[], void>)) rows.push(row)
  return rows
}

async function judgeCharges(operator: OperatorClient, all: readonly Client[]): Promise<void> {
  const tenants = new Map((await collect(operator.tenants())).map((row) => [row.name, row]))
  const sessions = await collect(operator.sessions())
  const rows = await collect(operator.allocations())
  for (const { tenant, user, done, process: own } of all) {
    const name = `tenants/${tenant}`
    const charged = { usedPasids: done.pasids.length, sessions: done.sessions.length }
    expect(tenants.get(name), name).toMatchObject(charged)
    const theirs = sessions.filter((session) => session.tenant === name)
    expect(theirs.map((session) => session.name).sort()).toEqual([...done.sessions].sort())
    expect([...new Set(theirs.map(({ owner }) => JSON.stringify(owner)))]).toEqual([
      JSON.stringify(own),
    ])
    const held = rows.filter((row) => row.tenant === name).map(({ pasid }) => pasid)
    expect(held).toEqual([...done.pasids].sort((a, b) => a - b))
    const audit = await collect(operator.auditEvents({ filter: `uid = ${user.uid}` }))
    const opened = audit.filter(({ action }) => action === 'OPEN_SESSION')
    expect(opened.map(({ subject }) => subject).sort()).toEqual([...done.sessions].sort())
    for (const { actor } of audit) expect(actor).toEqual(own)
  }
}

test(`${CALLS} calls of each kind by each of four users and a namespaced one`, async (ctx) => {
  ctx.skip(!IS_ROOT, ROOT_ONLY)
  const folder = temporaryFolder()
  fs.chmodSync(folder, 0o755)
  const daemon = await startChild({ folder, toml: TOML })
  const started = await Agents.start(folder)
  agents = started
  const working = CLIENTS.map(async (client) => {
    const agent = await started.start(client.tenant, client.user)
    const asked = { vmm: daemon.vmmSocket, admin: daemon.adminSocket }
    const done = await agent.ask<Done>('work', { ...asked, ...work(agent.pid, client) })
    const { uid, gid } = client.user
    return { ...client, done, process: { pid: agent.pid, uid, gid } }
  })
  const why = noNamespaces(NAMESPACED.user)
  if (why === undefined) {
    const { uid, gid } = NAMESPACED.user
    const ids = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
    const shell = started.spawn('black', { before: [...ids, '--inh-caps=-all', ...NAMESPACES] })
    working.push(
      started.expect('black').then(async (agent) => {
        // In there it is 1, and root.
        expect(agent.pid).toBe(1)
        const pid = onlyChildOf(shell.pid)
        const asked = { vmm: daemon.vmmSocket, admin: daemon.adminSocket }
        const done = await agent.ask<Done>('work', { ...asked, ...work(pid, NAMESPACED) })
        return { ...NAMESPACED, done, process: { pid, uid, gid } } as never
      }),
    )
  } else process.stdout.write(`identity: no client in namespaces of its own: ${why}\n`)
  const all: readonly Client[] = await Promise.all(working)
  for (const { tenant, done } of all) {
    expect([done.wrongCount, ...done.wrong], tenant).toEqual([0])
    expect(done.calls['unary'], tenant).toBeGreaterThanOrEqual(CALLS)
    expect(done.calls['control'], tenant).toBeGreaterThanOrEqual(CALLS)
    const others = ['watch', 'acts', 'health'].map((kind) => done.calls[kind] ?? 0)
    expect(others.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(CALLS * 0.6)
    process.stdout.write(`identity: ${tenant}: ${JSON.stringify(done.calls)}\n`)
  }
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  clients.push(operator)
  await judgeCharges(operator, all)
  expect(await operator.check(30_000)).toMatchObject({ consistent: true, problems: [] })
  // They end, and nothing of them is left.
  await started.stop()
  agents = undefined
  const left = async () => (await collect(operator.sessions())).length
  await expect.poll(left, { timeout: 30_000 }).toBe(0)
})
