/** Foreign text in messages: quoted, printable, and short, so that it fits a line and a trailer. */

const QUOTED_LENGTH_MAX = 80

/** JSON escapes, and \u escapes for all that is not printable ASCII; cut with its length told. */
export function quoted(text: string): string {
  const cut = text.length > QUOTED_LENGTH_MAX
  const shown = cut ? text.slice(0, QUOTED_LENGTH_MAX) : text
  const ascii = JSON.stringify(shown).replace(/[^\x20-\x7e]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
  return cut ? `${ascii} and ${text.length - QUOTED_LENGTH_MAX} more characters` : ascii
}
