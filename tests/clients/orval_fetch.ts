// What orval's client sends its requests with: the service's address and the user.

const [address, user] = process.argv.slice(2) as [string, string];

export async function call<T>(path: string, options: RequestInit): Promise<T> {
  const response = await fetch(address + path, { ...options, headers: { ...options.headers, "X-User-Id": user } });
  const body = await response.text();
  return { status: response.status, headers: response.headers, data: body ? JSON.parse(body) : undefined } as T;
}
