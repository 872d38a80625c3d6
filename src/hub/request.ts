/** What a person typed, made ready for the Hub: the model's id, the endpoint and the token. */
import { LoratoryError } from '../core/errors.ts';

/** The text is no model id. */
export class InvalidModelIdError extends LoratoryError {
  readonly code = 'invalid-model-id';

  constructor(text: string) {
    super(
      text.trim() === '' ? 'No model was named.' : `"${text}" is not the id of a model.`,
      'Give an id such as stable-diffusion-v1-5/stable-diffusion-v1-5: the owner, a slash, the name.',
      { text },
    );
  }
}

/** The text is no address of a Hub. */
export class InvalidEndpointError extends LoratoryError {
  readonly code = 'invalid-endpoint';

  constructor(text: string) {
    super(
      `"${text}" is not the address of a Hub.`,
      'Give an address that begins with https://, such as https://huggingface.co.',
      { text },
    );
  }
}

/** The text is no access token. It is not part of the message: it may be a secret that was pasted into the wrong field. */
export class InvalidTokenError extends LoratoryError {
  readonly code = 'invalid-token';

  constructor() {
    super(
      'The access token is not one of the Hub: those begin with hf_.',
      'Copy the token again from the Hub under Settings, Access Tokens; or leave it empty for a public model.',
    );
  }
}

/** `owner/name`, also out of the address of a model page. Throws {@link InvalidModelIdError}. */
export function parseModelId(text: string): string {
  const path = text
    .trim()
    .replace(/^https?:\/\/[^/]+\//, '')
    .replace(/[?#].*$/, '');
  const [owner = '', name = ''] = path.split('/');
  // Only an address may go on behind the name (/tree/main); `owner/name/file` is most likely a mistake.
  const rest = path.split('/').slice(2).join('/');
  const isTail = rest === '' || /^(tree|blob|resolve)\//.test(rest);
  const isName = (part: string) => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part);
  if (!isTail || !isName(owner) || !isName(name)) throw new InvalidModelIdError(text);
  return `${owner}/${name}`;
}

/** The endpoint without a trailing slash. Throws {@link InvalidEndpointError}. */
export function parseEndpoint(text: string): string {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw new InvalidEndpointError(text);
  return (url.origin + url.pathname).replace(/\/+$/, '');
}

/** The token without the spaces around it; undefined for none. Throws {@link InvalidTokenError}. */
export function parseToken(text: string | undefined): string | undefined {
  const token = text?.trim() ?? '';
  if (token === '') return undefined;
  if (!/^hf_[\x21-\x7e]+$/.test(token)) throw new InvalidTokenError();
  return token;
}
