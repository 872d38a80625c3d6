/** What can go wrong between us and a Hub. Each error names the model and what to do about it. */
import { LoratoryError } from '../core/errors.ts';

/** Why the Hub does not give out a model. */
export type NotFoundReason = 'missing-or-private' | 'gated' | 'no-revision' | 'no-file' | 'bad-token';

const NOT_FOUND: Record<NotFoundReason, (id: string, what: string) => { message: string; remedy: string }> = {
  'missing-or-private': (id) => ({
    message: `The Hub has no model ${id}, or it is private.`,
    remedy:
      'Check the spelling (owner/name, as in the address of the model page). For a private model, give an access token.',
  }),
  gated: (id) => ({
    message: `The model ${id} is gated: its owner wants you to accept terms first.`,
    remedy: `Open the model page of ${id} on the Hub, accept the terms, then give an access token of that account.`,
  }),
  'no-revision': (id, what) => ({
    message: `The model ${id} has no revision ${what}.`,
    remedy: 'Leave the revision empty for the newest version, or take a branch, tag or commit from the model page.',
  }),
  'no-file': (id, what) => ({
    message: `The model ${id} has no file ${what}, although the Hub lists it.`,
    remedy: 'Try again later, or choose another revision of the model.',
  }),
  'bad-token': (id) => ({
    message: `The Hub does not accept the access token that was given for ${id}.`,
    remedy:
      'Take a token with read permission from the Hub under Settings, Access Tokens; or leave it empty for a public model.',
  }),
};

/** The Hub answered 401, 403 or 404. `reason` says which of the possible causes it named. */
export class HubNotFoundError extends LoratoryError {
  readonly code = 'hub-not-found';

  /** `what`: the revision or the path that is missing; empty for the other reasons. */
  constructor(
    readonly id: string,
    readonly reason: NotFoundReason,
    what: string,
    status: number,
  ) {
    const { message, remedy } = NOT_FOUND[reason](id, what);
    super(message, remedy, { id, reason, what, status });
  }
}

/** The Hub asks us to slow down, for longer than a download should wait unseen. */
export class HubRateLimitError extends LoratoryError {
  readonly code = 'hub-rate-limit';

  /** `seconds` until the Hub wants to be asked again; null if it did not say. */
  constructor(
    readonly id: string,
    readonly seconds: number | null,
  ) {
    const wait = seconds === null ? 'a few minutes' : `${seconds} seconds`;
    super(
      `The Hub limits how often it may be asked, and the limit was reached while fetching ${id}.`,
      `Wait ${wait}, then download again: it goes on where it stopped. With an access token the limit is higher.`,
      { id, seconds },
    );
  }
}

/** The Hub answered 5xx, again and again. */
export class HubUnavailableError extends LoratoryError {
  readonly code = 'hub-unavailable';

  constructor(
    readonly id: string,
    readonly status: number,
  ) {
    super(
      `The Hub has a fault of its own (status ${status}) while fetching ${id}.`,
      'Try again in a few minutes: the download goes on where it stopped.',
      { id, status },
    );
  }
}

/** The Hub refused a request for a reason that fits none of the other errors. */
export class HubRefusedError extends LoratoryError {
  readonly code = 'hub-refused';

  constructor(id: string, status: number, reason: string) {
    super(
      `The Hub refused a request for ${id} (status ${status})${reason === '' ? '' : `: ${reason}`}.`,
      'Open the model page on the Hub: it may say why. Otherwise choose another model.',
      { id, status, reason },
    );
  }
}

/** No answer at all: offline, a wrong endpoint, or one that does not let web pages in (CORS). */
export class HubNetworkError extends LoratoryError {
  readonly code = 'hub-network';

  constructor(id: string, endpoint: string, options?: ErrorOptions) {
    super(
      `${endpoint} could not be reached while fetching ${id}.`,
      'Check the network connection and the Hub endpoint. A mirror must allow requests from web pages (CORS). What was downloaded is kept.',
      { id, endpoint },
      options,
    );
  }
}

/** Something answered, but not as a Hub does: a log-in page, a proxy, a web site. */
export class NotAHubError extends LoratoryError {
  readonly code = 'not-a-hub';

  constructor(id: string, endpoint: string, reason: string, options?: ErrorOptions) {
    super(
      `${endpoint} does not answer as a Hub while fetching ${id}: ${reason}.`,
      'Check the Hub endpoint (https://huggingface.co is the usual one), and whether the network wants you to log in first.',
      { id, endpoint, reason },
      options,
    );
  }
}

/** A file's bytes are not those that the Hub announced. What was stored of it has been deleted. */
export class HashMismatchError extends LoratoryError {
  readonly code = 'hash-mismatch';

  constructor(id: string, path: string, expected: string, actual: string) {
    super(
      `${path} of ${id} was damaged on its way: its hash is not the one that the Hub announced.`,
      'Download again: only this file is fetched anew. If it happens again, use another network or endpoint.',
      { id, path, expected, actual },
    );
  }
}
