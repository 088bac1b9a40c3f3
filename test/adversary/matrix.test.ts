/**
 * Every verb against everything that is another's: each cell is refused with its one reason, tells
 * no more of what is there than of what is not, and leaves all that the operator sees as it was, to
 * the letter.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Answer, ControlAnswers } from '../support/adversary-agents.js'
import {
  IS_ROOT,
  Judge,
  NO_SESSION,
  reasonOf,
  ROOT_ONLY,
  shapeOf,
} from '../support/adversary-judge.js'
import { CREDENTIALS, NAMINGS, type Credential, type Naming } from '../support/adversary-matrix.js'
import { commandOf, methodOf, VERBS } from '../support/adversary-verbs.js'
import { NOTHING, type Name, type Secret, type Things } from '../support/adversary-world.js'

/** Who has a session of its own to attack from; and who is of the victim's tenant. */
const ATTACKERS = [
  { who: 'stranger', inside: false },
  { who: 'foreignDelegate', inside: false },
  { who: 'colleague', inside: true },
  { who: 'sibling', inside: true },
  { who: 'delegate', inside: true },
  { who: 'otherDelegate', inside: true },
] as const

const judge = new Judge()

beforeAll(() => judge.start())
afterAll(() => judge.stop('matrix'))
beforeEach((ctx) => ctx.skip(!IS_ROOT, ROOT_ONLY))

function namesOf(things: Things): (string | number)[] {
  const { nic, vf, pasid, vfPasid, guestAddress } = things
  const names = [nic, vf, nic.slice('devices/'.length), vf.slice('devices/'.length)]
  const page = [guestAddress, guestAddress + 4095].map((byte) => `0x${byte.toString(16)}`)
  return [...names, ...page, pasid, vfPasid]
}

function secretOf(whose: Credential['whose']): Secret {
  return whose === 'closed' ? judge.world.closed : judge.world.secret(whose)
}

function tokenOf({ token }: Credential): string | undefined {
  if (token === undefined) return undefined
  return token === 'closed' ? judge.world.closed.token : judge.world.secret(token).token
}

/** One credential, with every verb, and on a stream; and the same for a session that never was. */
async function judgeCredential(row: Credential): Promise<string[]> {
  const wrong: string[] = []
  const agent = judge.world.agent(row.who)
  const { name } = secretOf(row.whose)
  const token = tokenOf(row)
  const judgeCell = (verb: string, answer: Answer, twin: Answer, reason: string) => {
    judge.cells += 1
    if (reasonOf(answer) !== reason) wrong.push(`${verb}: ${reasonOf(answer)}, not ${reason}`)
    if (reason !== 'SESSION_NOT_FOUND') return
    const [seen, none] = [shapeOf(answer, [name, id(name)]), shapeOf(twin, [id(NO_SESSION)])]
    if (seen.replaceAll('sessions/', '') !== none.replaceAll('sessions/', '')) {
      wrong.push(`${verb}: ${seen} tells more than ${none}`)
    }
  }
  for (const { verb, field, of } of VERBS) {
    const ask = (session: string) => {
      const message = { ...of(judge.world.things), [field]: session }
      return agent.call(judge.world.vmm, methodOf(verb), message, token)
    }
    const reason = (verb === 'ResumeSession' ? row.resume : undefined) ?? row.reason
    judgeCell(verb, await ask(name), await ask(NO_SESSION), reason)
  }
  const open = async (session: string) => {
    const asked = { socket: judge.world.vmm, session, token, commands: [] }
    return (await agent.ask<ControlAnswers>('control', asked)).opened
  }
  judgeCell('Control', await open(name), await open(NO_SESSION), row.reason)
  return wrong
}

function id(name: string): string {
  return name.slice('sessions/'.length)
}

describe('another’s session', () => {
  const rows = CREDENTIALS.map((row) => {
    const token = row.token === undefined ? 'no token' : `the token of ${row.token}`
    return [`${row.who} names that of ${row.whose}, with ${token}`, row] as const
  })
  test.each(rows)('%s', async (_name, row) => {
    await judge.unchanged('session × verb', () => judgeCredential(row))
  })

  test.each(ATTACKERS)('named on a stream of one’s own: $who', async ({ who }) => {
    const own = judge.world.secret(who)
    const targets = ['victim', 'delegate', 'sibling'] as const
    await judge.unchanged('session × command', async () => {
      const wrong: string[] = []
      const commands = VERBS.filter(({ verb }) => commandOf(verb) !== undefined)
      for (const target of targets) {
        const { name } = judge.world.secret(target)
        if (name === own.name) continue
        for (const named of [name, NO_SESSION]) {
          const ask = ({ verb, field, of }: (typeof commands)[number]) => {
            return [commandOf(verb), { ...of(judge.world.things), [field]: named }]
          }
          const asked = { socket: judge.world.vmm, session: own.name, token: own.token }
          const request = { ...asked, commands: commands.map(ask) }
          const { answers } = await judge.world.agent(who).ask<ControlAnswers>('control', request)
          for (const [at, { verb }] of commands.entries()) {
            judge.cells += 1
            const reason = reasonOf(answers[at])
            if (reason !== 'SESSION_TOKEN_WRONG') wrong.push(`${verb} of ${target}: ${reason}`)
          }
        }
      }
      return wrong
    })
  })
})

/** In the session of its own: by a call, and on a stream where it is a command of one. */
async function askAsOwn(who: Name, { verb, of }: Naming, things: Things): Promise<Answer[]> {
  const { name, token } = judge.world.secret(who)
  const agent = judge.world.agent(who)
  const message = { ...of(things), session: name }
  const unary = await agent.call(judge.world.vmm, methodOf(verb), message, token)
  const command = commandOf(verb)
  if (command === undefined) return [unary]
  const commands = [[command, of(things)]]
  const asked = { socket: judge.world.vmm, session: name, token, commands }
  const { answers } = await agent.ask<ControlAnswers>('control', asked)
  return [unary, answers[0] ?? unary]
}

/** Delegates open sessions with an owner's token, which a container has no place for. */
function containerReason(who: Name, inside: boolean): string {
  if (/delegate/i.test(who)) return 'ROLE_NOT_ALLOWED'
  return inside ? 'DEVICE_IN_USE' : 'DEVICE_NOT_FOUND'
}

function judgeNaming(naming: Naming, answer: Answer, reason: string): string | undefined {
  if (typeof naming.reason === 'string') {
    return reasonOf(answer) === reason ? undefined : `${reasonOf(answer)}, not ${reason}`
  }
  if (!answer.ok) return reasonOf(answer)
  const seen = Object.keys(naming.reason).map((key) => [key, answer.value[key]])
  const expected = JSON.stringify(naming.reason)
  return JSON.stringify(Object.fromEntries(seen)) === expected ? undefined : reasonOf(answer)
}

describe('another’s things, named in a session of one’s own', () => {
  test.each(ATTACKERS)('by $who', async ({ who, inside }) => {
    await judge.unchanged('thing × verb', async () => {
      const wrong: string[] = []
      for (const naming of NAMINGS) {
        const plain = typeof naming.reason === 'string' ? naming.reason : ''
        const reason = inside ? (naming.inside ?? plain) : plain
        const say = (text: string) => wrong.push(`${naming.verb}: ${naming.name}: ${text}`)
        const answers = await askAsOwn(who, naming, judge.world.things)
        for (const answer of answers) {
          judge.cells += 1
          const problem = judgeNaming(naming, answer, reason)
          if (problem !== undefined) say(problem)
        }
        if (naming.tells === true || (inside && naming.inside !== undefined)) continue
        const twins = await askAsOwn(who, naming, NOTHING)
        const seen = answers.map((answer) => shapeOf(answer, namesOf(judge.world.things)))
        const none = twins.map((answer) => shapeOf(answer, namesOf(NOTHING)))
        judge.cells += twins.length
        if (`${seen}` !== `${none}`) say(`${seen} tells more than ${none}`)
      }
      return wrong
    })
  })
})

test('another’s device opens nobody a container', async () => {
  await judge.unchanged('container', async () => {
    const wrong: string[] = []
    for (const { who, inside } of ATTACKERS) {
      const { nic, vf } = judge.world.things
      for (const device of [nic, vf]) {
        judge.cells += 1
        const agent = judge.world.agent(who)
        const devices = { devices: ['devices/shared0', device] }
        const answer = await agent.call(judge.world.vmm, 'VfioUapi/OpenContainer', devices)
        const reason = containerReason(who, inside)
        if (reasonOf(answer) !== reason) wrong.push(`${who}: ${device}: ${reasonOf(answer)}`)
      }
    }
    return wrong
  })
})

describe('after all of it', () => {
  test('the victim’s own calls work, and the daemon agrees with itself', async () => {
    const { name: session, token } = judge.world.secret('victim')
    const agent = judge.world.agent('victim')
    const ask = (verb: string, message: object) => {
      return agent.must(judge.world.vmm, `PasidBroker/${verb}`, message, token)
    }
    const { pasid, nic } = judge.world.things
    const invalidation = { pasid: { pasid }, caches: ['INVALIDATION_CACHE_IOTLB'] }
    expect(await ask('Invalidate', { session, entries: [invalidation] })).toMatchObject({ done: 1 })
    const page = { session, pageSize: 1, pageToken: judge.world.pageToken }
    expect(await ask('ListPasids', page)).toMatchObject({ allocations: [{ pasid: pasid + 1 }] })
    expect(await ask('UnmapGuestMemory', { session })).toMatchObject({ unmapped: 1 })
    expect(await ask('DetachDevice', { session, device: nic })).toMatchObject({ unbound: 2 })
    expect(await ask('CloseSession', { name: session })).toMatchObject({ durable: true })
    await judge.judgeEnd()
  })
})
