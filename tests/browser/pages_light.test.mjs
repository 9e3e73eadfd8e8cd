import { test_every_page } from './every_page.mjs';

test_every_page('light');
