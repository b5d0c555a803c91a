/** An error object of JSON-RPC. */
export class RpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly data: Record<string, unknown>,
  ) {
    super(message);
  }
}

interface Answer {
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

function unwrap(answer: Answer): unknown {
  if (!answer.error) return answer.result;
  const data = answer.error.data;
  throw new RpcError(
    answer.error.code,
    answer.error.message,
    typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {},
  );
}

/** Calls a method over HTTP. */
export async function post<T>(url: string, method: string, params: unknown[] | object): Promise<T> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return unwrap((await response.json()) as Answer) as T;
}
