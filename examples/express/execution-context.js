// Who this app is: as much of AppKit's getExecutionContext() as the handler asks for.
const config = {
  async ensureResolved() {},
  async authenticate(headers) {
    const token = process.env.DATABRICKS_TOKEN; // beside the sidecar there is none: it has the app's bearer
    if (token) headers.set("Authorization", `Bearer ${token}`);
  },
};

export const getExecutionContext = () => ({ client: { config } });
