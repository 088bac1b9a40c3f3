/** Lists that come in pages (AIP-158) as async iterators: one page in memory at a time. */

export interface PageOptions {
  /** Rows asked for in one call; the broker gives at most 5000. */
  readonly pageSize?: number | undefined
}

export interface Page<Row> {
  readonly rows: readonly Row[]
  /** Empty after the last page. */
  readonly nextPageToken: string
}

/** Page after page. A page may be empty and still not be the last: only the token tells. */
export async function* pagesOf<Row>(
  fetch: (pageToken: string) => Promise<Page<Row>>,
): AsyncGenerator<readonly Row[], void, undefined> {
  let token = ''
  do {
    const page = await fetch(token)
    yield page.rows
    token = page.nextPageToken
  } while (token !== '')
}

export async function* rowsOf<Row>(
  pages: AsyncIterable<readonly Row[]>,
): AsyncGenerator<Row, void, undefined> {
  for await (const page of pages) yield* page
}
