/**
 * Filters of lists: the part of AIP-160 that operator.proto describes. Comparisons
 * `field = value` joined by AND; a list says which fields it knows, and which may be ordered.
 */

import { accept, refuse, type Outcome } from '../core/refusal.js'

const FILTER_LENGTH_MAX = 1024
const COMPARISONS_MAX = 16

export type Operator = '=' | '<=' | '>='

export interface Comparison<Field extends string> {
  readonly field: Field
  readonly operator: Operator
  readonly value: string
}

/** Fields that a list knows; `ordered` ones take <= and >= too. */
export type FilterFields<Field extends string> = Readonly<Record<Field, 'equal' | 'ordered'>>

/** A quoted text with escaped quotes, an operator, or a word. */
const TOKEN = /\s*(?:"((?:[^"\\]|\\["\\])*)"|(<=|>=|!=|[=<>:()])|([^\s"=<>:()!]+))/y

interface Token {
  readonly kind: 'text' | 'operator' | 'word'
  readonly value: string
}

function tokensOf(filter: string): Token[] | undefined {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  const stop = filter.trimEnd().length
  while (TOKEN.lastIndex < stop) {
    const match = TOKEN.exec(filter)
    if (match === null) return undefined
    const [, text, operator, word] = match
    if (text !== undefined) tokens.push({ kind: 'text', value: text.replace(/\\(.)/g, '$1') })
    else if (operator !== undefined) tokens.push({ kind: 'operator', value: operator })
    else tokens.push({ kind: 'word', value: word ?? '' })
  }
  return tokens
}

export function parseFilter<Field extends string>(
  filter: string,
  known: FilterFields<Field>,
): Outcome<readonly Comparison<Field>[]> {
  const no = (problem: string) => refuse({ code: 'FILTER_INVALID', filter, problem } as const)
  if (filter.length > FILTER_LENGTH_MAX) {
    return no(`${filter.length} characters; bound: at most ${FILTER_LENGTH_MAX}; shorten it`)
  }
  const tokens = tokensOf(filter)
  if (tokens === undefined) return no('a quote is not closed; quote values as "value"')
  const comparisons: Comparison<Field>[] = []
  for (let i = 0; i < tokens.length; i += 4) {
    if (comparisons.length === COMPARISONS_MAX) {
      return no(`more than ${COMPARISONS_MAX} comparisons; leave some out`)
    }
    const one = comparisonOf(tokens, i, known)
    if (typeof one === 'string') return no(one)
    comparisons.push(one)
    const joint = tokens[i + 3]
    if (joint === undefined) continue
    if (joint.kind !== 'word' || joint.value !== 'AND') {
      return no(`"${joint.value}" where only AND may stand; join comparisons by AND`)
    }
    if (tokens[i + 4] === undefined) return no('nothing after AND; add a comparison')
  }
  return accept(comparisons)
}

/** The comparison that begins at a token, or what is wrong with it. */
function comparisonOf<Field extends string>(
  tokens: readonly Token[],
  at: number,
  known: FilterFields<Field>,
): Comparison<Field> | string {
  const [field, operator, value] = tokens.slice(at, at + 3)
  const names = Object.keys(known).join(', ')
  if (field?.kind !== 'word' || !Object.hasOwn(known, field.value)) {
    return `"${field?.value ?? ''}" is no field of this list; it knows ${names}`
  }
  const name = field.value as Field
  const allowed = known[name] === 'ordered' ? ['=', '<=', '>='] : ['=']
  if (operator?.kind !== 'operator' || !allowed.includes(operator.value)) {
    const found = operator?.value ?? 'nothing'
    return `"${found}" after ${name}; it may be compared with ${allowed.join(', ')}`
  }
  if (value === undefined || value.kind === 'operator') {
    return `no value after ${name} ${operator.value}; write one, quoted if it is not a plain word`
  }
  return { field: name, operator: operator.value as Operator, value: value.value }
}
