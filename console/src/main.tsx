import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Refusal } from './api/http';
import { App } from './shell/App';
import { theme } from './shell/mantine';
import { ZoneProvider } from './shared/zone';
import './shell/theme.css';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5000,
      refetchOnWindowFocus: false,
      // A server that is away comes back; what it refused stays refused.
      retry: (count, error) => error instanceof Refusal && (error.status === 0 || error.status >= 502) && count < 3,
    },
  },
});

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={client}>
        <ZoneProvider>
          <App />
        </ZoneProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
