import '@fontsource-variable/source-serif-4';
import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import { makeHost } from '#host';
import App from './App.svelte';

const target = document.getElementById('app');
if (target === null) throw new Error('The page has no place for the application.');

mount(App, { target, props: { host: makeHost() } });
