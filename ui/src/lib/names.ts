/** What an agent or a shared budget can be called, as `domain::AgentName` has it. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$/;
