import '@fontsource-variable/hanken-grotesk/wght.css';
import 'uplot/dist/uPlot.min.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/shell.css';
import './styles/rooms.css';
import './styles/live.css';
import './styles/runs.css';
import './styles/settings.css';
import './styles/run.css';
import './styles/try.css';
import './styles/loras.css';
import { createRoot } from 'react-dom/client';
import { defined } from '../core/invariant.ts';
import { openStudio } from '../store/studio.ts';
import { App } from './App.tsx';

createRoot(defined(document.getElementById('root'), '#root')).render(<App store={openStudio()} />);
