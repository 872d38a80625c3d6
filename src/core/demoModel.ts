/** The small model that comes with Loratory itself, in public/models/demo: emoji drawings in Stable Diffusion 1.5's layout. */
export const demoModel = {
  /** What stands where another model has its Hub id. */
  id: 'demo',
  /** What exported files call it. No other tool has it, so a LoRA of it must not pass for one of SD 1.5. */
  name: 'loratory-demo',
} as const;
