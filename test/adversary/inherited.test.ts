/**
 * A child that its parent has forked, with the parent's connections in its hands: it speaks as the
 * parent while that lives, and as nobody from the moment it has ended, even if what it says is in
 * the daemon's socket before the daemon has looked. On a connection of its own it is itself.
 */
import process from 'node:process'
import { afterEach, expect, test } from 'vitest'
import { OperatorClient } from '../../src/client/index.js'
import { type Agent, Agents, type Answer, type Message } from '../support/adversary-agents.js'
import { methodOf, VERBS } from '../support/adversary-verbs.js'
import { collect, NOTHING, type Secret } from '../support/adversary-world.js'
import { type ChildDaemon, startChild, stopAll, temporaryFolder } from '../support/daemon.js'

const PASIDS = { first: 1000, last: 1003 }
const INFO = 'PasidBroker/GetServerInfo'
/** What the child inherits is silent until that is up, however slowly it starts. */
const TOML = '[limits]\nfirst_byte = "10m"\n'

let agents: Agents | undefined
let operator: OperatorClient | undefined

afterEach(async () => {
  await agents?.stop()
  operator?.close()
  await stopAll()
})

interface Family {
  readonly daemon: ChildDaemon
  readonly parent: Agent
  readonly child: Agent
  readonly session: Secret
  readonly view: () => Promise<string>
}

/** The child has a connection of the parent's for every verb, with the preface said on each. */
async function start(linger: Message | null): Promise<Family> {
  const folder = temporaryFolder()
  const daemon = await startChild({ folder, toml: TOML })
  agents = await Agents.start(folder)
  const admin = new OperatorClient({ socket: daemon.adminSocket })
  operator = admin
  const parent = await agents.start('parent')
  const socket = daemon.vmmSocket
  const opened = await parent.must(socket, 'PasidBroker/OpenSession', { linger })
  const { name } = opened['session'] as { name: string }
  const session = { name, token: String(opened['token']) }
  const { first, last } = PASIDS
  const ask = { session: name, block: { size: last - first + 1 }, min: first }
  await parent.must(socket, 'PasidBroker/AllocatePasids', ask, session.token)
  const connections = VERBS.length
  await parent.ask('bear', { socket, child: 'child', connections })
  const child = await agents.expect('child')
  expect(await child.ask('inherit', { connections })).toBe(connections)
  const view = async () => {
    const rows = await collect(admin.allocations())
    const { headroom: _changes, ...seen } = await admin.getSession(name)
    return JSON.stringify({ seen, rows: rows.map(({ pasid, state }) => [pasid, state]) })
  }
  return { daemon, parent, child, session, view }
}

function askOn(child: Agent, at: number, method: string, message: object, token?: string) {
  return child.ask<Answer>('callInherited', { at, method, message, token })
}

/** Every verb, on a connection each, of those it has inherited. */
function askAll({ child, session }: Family): Promise<Answer>[] {
  return VERBS.map(({ verb, field, of }, at) => {
    const message = { ...of(NOTHING), [field]: session.name }
    return askOn(child, at, methodOf(verb), message, session.token)
  })
}

/** On a connection of its own. */
async function reasonsOnOwn({ daemon, child, session }: Family): Promise<Record<string, string>> {
  const reasons: Record<string, string> = {}
  for (const { verb, field, of } of VERBS) {
    if (verb === 'ResumeSession') continue
    const message = { ...of(NOTHING), [field]: session.name }
    const answer = await child.call(daemon.vmmSocket, methodOf(verb), message, session.token)
    reasons[verb] = answer.ok ? 'OK' : answer.reason
  }
  return reasons
}

function everyVerb(reason: string): Record<string, string> {
  const verbs = VERBS.map(({ verb }) => verb).filter((verb) => verb !== 'ResumeSession')
  return Object.fromEntries(verbs.map((verb) => [verb, reason]))
}

/** The daemon does not run while the owner ends and the child speaks: it finds both at once. */
async function endBehindItsBack(family: Family): Promise<Answer[]> {
  const { daemon, parent } = family
  daemon.signal('SIGSTOP')
  process.kill(parent.pid, 'SIGKILL')
  await parent.ended
  const asked = askAll(family)
  // The child has written them once it has answered something that comes later.
  await family.child.ask('inherit', { connections: 0 })
  daemon.signal('SIGCONT')
  return Promise.all(asked)
}

test('as its parent while that lives; then as nobody, and the session waits for an heir', {
  timeout: 60_000,
}, async () => {
  const family = await start({ seconds: '60', nanos: 0 })
  const { daemon, parent, child, session, view } = family
  for (const [at] of VERBS.entries()) {
    const info = await askOn(child, at, INFO, {})
    expect(info).toMatchObject({ ok: true, value: { caller: { process: { pid: parent.pid } } } })
  }
  const own = await child.must(daemon.vmmSocket, INFO, {})
  expect(own).toMatchObject({ caller: { process: { pid: child.pid } } })
  expect(await reasonsOnOwn(family)).toEqual(everyVerb('NOT_OWNER'))
  const before = await view()
  const answers = await endBehindItsBack(family)
  const reasons = answers.map((answer) => (answer.ok ? 'OK' : answer.reason))
  for (const reason of reasons) expect(['CALLER_ENDED', 'CUT']).toContain(reason)
  process.stdout.write(`inherited: ${VERBS.length} verbs of a dead owner: ${reasons.join()}\n`)
  const lost = before
    .replace('SESSION_STATE_OPEN', 'SESSION_STATE_LINGERING')
    .replace('END_CAUSE_UNSPECIFIED', 'END_CAUSE_EXIT')
  await expect.poll(view).toBe(lost)
  expect(await reasonsOnOwn(family)).toEqual(everyVerb('SESSION_LINGERING'))
  // What a successor does, and nothing else, makes it the owner.
  const resume = { name: session.name }
  await child.must(daemon.vmmSocket, 'PasidBroker/ResumeSession', resume, session.token)
  const list = { session: session.name }
  const held = await child.must(daemon.vmmSocket, 'PasidBroker/ListPasids', list, session.token)
  expect(held['allocations']).toHaveLength(PASIDS.last - PASIDS.first + 1)
})

test('without a linger the session goes with the parent, whatever the child says', {
  timeout: 60_000,
}, async () => {
  const family = await start(null)
  const answers = await endBehindItsBack(family)
  for (const answer of answers) {
    expect(['CALLER_ENDED', 'CUT']).toContain(answer.ok ? 'OK' : answer.reason)
  }
  const gone = everyVerb('SESSION_NOT_FOUND')
  await expect.poll(() => reasonsOnOwn(family), { timeout: 10_000 }).toEqual(gone)
  const held = async () => (await collect(operator!.allocations())).length
  await expect.poll(held, { timeout: 10_000 }).toBe(0)
  expect(await operator!.check(30_000)).toMatchObject({ consistent: true, problems: [] })
})
