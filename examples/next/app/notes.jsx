"use client";

/** Rows of the client reach it through the serializer of React. */
export function Notes({ rows }) {
  return (
    <ul>
      {rows.map((row) => (
        <li key={row.id}>{row.content}</li>
      ))}
    </ul>
  );
}
