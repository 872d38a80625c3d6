/** What a replay of a case is given. */
import type { Checker } from '../check.ts';
import type { OracleModels } from '../models.ts';
import type { GoldenTensor, OracleCase, OraclePack } from '../pack.ts';

export interface Replay {
  readonly pack: OraclePack;
  readonly models: OracleModels;
  readonly oracleCase: OracleCase;
  readonly check: Checker;
  /** The tensor that plays a role. */
  readonly input: (role: string) => Promise<GoldenTensor>;
}

/** Replays a case into its checker; false if the case is not supported. */
export type GroupReplay = (replay: Replay) => Promise<boolean>;
