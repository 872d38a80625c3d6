import { ChevronLeft, Download, Search, X } from 'lucide-react';
import { useState } from 'react';
import { formatBytes, formatEta } from '../../../store/format.ts';
import { downloadEta } from '../../../store/model.ts';
import type { HubSearchHit } from '../../../worker/protocol.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { TextField } from '../../components/Field.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useStudio } from '../../StudioContext.tsx';

const count = new Intl.NumberFormat('en', { notation: 'compact' });

function Hit({ hit }: { readonly hit: HubSearchHit }) {
  const opened = useStudio((state) => state.hubRepositoryOpened);
  return (
    <li>
      <button
        type="button"
        className="pick pick-button"
        aria-label={`Files of ${hit.id}`}
        onClick={() => void opened(hit.id)}
      >
        <span className="lora-title">
          <strong>{hit.id}</strong>
          <span>
            {count.format(hit.downloads)} downloads · {count.format(hit.likes)} likes
            {hit.isGated ? ' · needs a token' : ''}
            {hit.baseModels.length > 0 ? ` · for ${hit.baseModels.join(', ')}` : ''}
          </span>
        </span>
      </button>
    </li>
  );
}

function RepositoryFiles() {
  const repository = useStudio((state) => state.hubSearch.open);
  const fetching = useStudio((state) => state.hubSearch.fetching);
  const progress = useStudio((state) => state.hubSearch.progress);
  const fetched = useStudio((state) => state.hubLoraFetched);
  const cancelled = useStudio((state) => state.hubFetchCancelled);
  if (repository === null) return null;
  const { id, files } = repository;
  return (
    <section aria-label={`Files of ${id}`}>
      <h3 className="hub-repository">{id}</h3>
      {files === null ? (
        <ProgressBar label="Asking for the files" value={null} />
      ) : (
        <ul className="picks">
          {files.map(({ path, bytes }) => (
            <li key={path} className="pick">
              <span className="lora-title">
                <strong title={path}>{path}</strong>
                <span>{formatBytes(bytes)}</span>
              </span>
              {fetching === path ? (
                <span className="hub-progress">
                  <ProgressBar
                    label={`Fetching ${path}`}
                    value={progress === null ? null : progress.loadedBytes / progress.totalBytes}
                  />
                  <span>{formatEta(progress === null ? null : downloadEta(progress))}</span>
                  <button type="button" className="button button-small" onClick={cancelled}>
                    <X size={14} aria-hidden="true" /> Cancel
                  </button>
                </span>
              ) : (
                <button
                  type="button"
                  className="button button-small"
                  disabled={fetching !== null}
                  aria-label={`Get ${path}`}
                  onClick={() => void fetched(id, path)}
                >
                  <Download size={14} aria-hidden="true" /> Get
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** LoRAs of a Hub: by id, or by search. Nothing is asked before the button is pressed. */
export function HubLoras() {
  const { hits, searching, error, open, query: asked } = useStudio((state) => state.hubSearch);
  const endpoint = useStudio((state) => state.endpoint);
  const token = useStudio((state) => state.accessToken);
  const tokenEdited = useStudio((state) => state.accessTokenEdited);
  const searched = useStudio((state) => state.hubSearched);
  const closed = useStudio((state) => state.hubRepositoryClosed);
  const [query, setQuery] = useState(asked);
  return (
    <div className="stack">
      <form
        className="input-row"
        onSubmit={(event) => {
          event.preventDefault();
          void searched(query);
        }}
      >
        <input
          className="input"
          aria-label="Hub id or search words"
          placeholder="owner/name, or words such as pixel art"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <button type="submit" className="button button-primary" disabled={searching || query.trim() === ''}>
          <Search size={14} aria-hidden="true" /> {searching ? 'Asking…' : 'Search'}
        </button>
      </form>
      <p className="field-hint">
        Search contacts <code>{endpoint}</code>, the Hub address of the Model room, with these words, and the token if
        you give one.
      </p>
      <TextField
        label="Access token"
        term="token"
        type="password"
        value={token}
        placeholder="only for private or gated repositories"
        onChange={tokenEdited}
      />
      {error !== null && <ErrorNote error={error} />}
      {open !== null && hits !== null && (
        <button type="button" className="link" onClick={closed}>
          <ChevronLeft size={14} aria-hidden="true" /> Back to the results
        </button>
      )}
      {open !== null ? (
        <RepositoryFiles />
      ) : (
        hits !== null && (
          <ul className="picks" aria-label="Found on the Hub">
            {hits.map((hit) => (
              <Hit key={hit.id} hit={hit} />
            ))}
            {hits.length === 0 && <li className="pick-none">Nothing was found for “{asked}”.</li>}
          </ul>
        )
      )}
    </div>
  );
}
