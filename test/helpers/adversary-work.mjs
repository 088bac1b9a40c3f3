/**
 * What one client of the identity test does: calls of every kind the API has, over several
 * connections at once, each answer held against what this process knows itself to be.
 */
import { OperatorClient, PasidClient, PasidError } from '../../dist/client/index.js'

const LANES = 16
/** A connection is made anew after so many rounds of a lane. */
const CONNECTION_ROUNDS = 50

/** A connection that is cut is no word of the daemon's on who calls. */
function isRefusal(error) {
  return error instanceof PasidError && !error.isConnectionLost
}

class Worker {
  calls = { unary: 0, control: 0, streams: 0, watch: 0, acts: 0, health: 0 }
  wrong = []
  sessions = []
  pasids = []

  constructor(facts) {
    this.facts = facts
  }

  judge(what, seen, expected) {
    const text = JSON.stringify(seen)
    if (text !== JSON.stringify(expected)) this.wrong.push(`${what}: ${text}`)
  }

  get process() {
    const { pid, uid, gid } = this.facts
    return { pid, uid, gid }
  }

  async info(client) {
    const { caller } = await client.getServerInfo()
    this.calls.unary += 1
    const { process, tenant, delegateFor } = caller
    const expected = { process: this.process, tenant: this.facts.tenant, delegateFor: [] }
    this.judge('GetServerInfo', { process, tenant, delegateFor }, expected)
  }

  async health(client) {
    this.judge('health', await client.health(), 'SERVING')
    this.calls.health += 1
  }

  /** A session of its own on a stream of its own: what is opened and granted is this client's. */
  async stream(client, commands) {
    const session = await client.openSession()
    this.calls.unary += 1
    this.sessions.push(session.name)
    const control = await session.control()
    this.calls.streams += 1
    for (let i = 0; i < commands; i += 1) {
      const { name, owner, tenant } = await control.send('getSession', {})
      const expected = { name: session.name, owner: this.process, tenant: this.facts.tenant }
      this.judge('Control', { name, owner, tenant }, expected)
      this.calls.control += 1
    }
    const { ranges } = await control.send('allocatePasids', { one: {} })
    this.calls.control += 1
    const unary = await session.allocatePasids({ block: { size: 2 } })
    this.calls.unary += 1
    for (const { first, last } of [...ranges, ...unary.ranges]) {
      for (let pasid = first; pasid <= last; pasid += 1) this.pasids.push(pasid)
    }
    await control.close()
  }

  /** The first answer of a Watch, or the refusal, which names whom the daemon refuses. */
  async watch(operator) {
    this.calls.watch += 1
    const { role, uid, pid } = { ...this.process, role: this.facts.role }
    try {
      for await (const { response } of operator.watch()) {
        this.judge('Watch', [role !== '', response], [true, 'started'])
        break
      }
    } catch (error) {
      if (!isRefusal(error)) throw error
      const seen = [role, error.reason, error.metadata.uid, error.metadata.pid]
      this.judge('Watch', seen, ['', 'IDENTITY_REFUSED', `${uid}`, `${pid}`])
    }
  }

  /** Only an operator may; everybody else is told whom the daemon takes them for. */
  async act(operator) {
    this.calls.acts += 1
    const { uid, role } = this.facts
    try {
      await operator.resumeReclaim({ reason: `by ${uid}` })
      this.judge('ResumeReclaim', role, 'operator')
    } catch (error) {
      if (!isRefusal(error)) throw error
      const seen = [error.reason, error.metadata.uid, error.metadata.role ?? '']
      const reason = role === '' ? 'IDENTITY_REFUSED' : 'ROLE_NOT_ALLOWED'
      this.judge('ResumeReclaim', [...seen, role === 'operator'], [reason, `${uid}`, role, false])
    }
  }
}

/** One lane: its rounds one after the other, on a connection that is made anew now and then. */
async function lane(worker, { vmm, admin, rounds, streamEvery, commands }) {
  let client
  let operator
  for (let round = 0; round < rounds; round += 1) {
    if (round % CONNECTION_ROUNDS === 0) {
      client?.close()
      operator?.close()
      const channelOptions = { 'grpc.use_local_subchannel_pool': 1 }
      client = new PasidClient({ socket: vmm, channelOptions })
      operator = new OperatorClient({ socket: admin, channelOptions })
    }
    const calls = [worker.info(client)]
    if (round % streamEvery === 0) calls.push(worker.stream(client, commands))
    if (round % 4 === 1) calls.push(worker.health(client))
    if (round % 4 === 2) calls.push(worker.watch(operator))
    if (round % 4 === 3) calls.push(worker.act(operator))
    await Promise.all(calls)
  }
  client?.close()
  operator?.close()
}

export async function work({ rounds, ...facts }) {
  const worker = new Worker(facts)
  const each = Math.ceil(rounds / LANES)
  const lanes = Array.from({ length: LANES }, () => {
    return lane(worker, { ...facts, rounds: each })
  })
  await Promise.all(lanes)
  const { calls, wrong, sessions, pasids } = worker
  return { calls, wrong: wrong.slice(0, 20), wrongCount: wrong.length, sessions, pasids }
}
