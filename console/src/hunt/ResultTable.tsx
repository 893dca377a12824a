// 100,000 rows of which a screenful exists. Columns are put in order by dragging their heads, or from their menus.
import { Menu } from '@mantine/core';
import { getCoreRowModel, useReactTable, type ColumnDef } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState, type DragEvent } from 'react';
import { Link } from 'wouter';
import type { Event } from '../api/model';
import { drill } from '../shared/drill';
import { formatCount, formatValue, visible } from '../shared/format';
import { entityKind, entityLink } from '../shared/query';
import { summaryOf } from '../shared/summary';
import { formatTime, type Range } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import { COLUMN_TYPE } from './FieldList';
import type { Run } from './useRun';
import s from './table.module.css';

const ROW = 28;
const widths: Record<string, number> = { '@timestamp': 186, message: 720, 'event.original': 720, 'process.command_line': 480, 'event.dataset': 170 };

export function ResultTable({ run, query, range, columns, whole, cursor, openId, onColumns, onColumn, onOpen }: {
  run: Run;
  query: string;
  range: Range;
  columns: string[];
  whole: boolean;
  cursor: number;
  openId: string | undefined;
  onColumns: (columns: string[]) => void;
  onColumn: (name: string, before?: string) => void;
  onOpen: (index: number) => void;
}) {
  const { zone } = useZone();
  const scroller = useRef<HTMLDivElement>(null);
  const defs = useMemo(
    (): ColumnDef<Event>[] => columns.map((name) => ({ id: name, accessorFn: (row) => row[name], size: widths[name] ?? 160, minSize: 60, maxSize: 3000 })),
    [columns],
  );
  const table = useReactTable({ data: none, columns: defs, columnResizeMode: 'onChange', getCoreRowModel: getCoreRowModel() });
  const heads = table.getFlatHeaders();
  const template = heads.map((head, i) => (i === heads.length - 1 ? `minmax(${head.getSize()}px, 1fr)` : `${head.getSize()}px`)).join(' ');
  const rows = useVirtualizer({ count: run.rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 20 });

  useEffect(() => {
    if (cursor > 0) rows.scrollToIndex(cursor, { align: 'auto' });
  }, [cursor, rows]);
  const [over, setOver] = useState<string>();
  const drop = (before: string | undefined) => (event: DragEvent) => {
    const name = event.dataTransfer.getData(COLUMN_TYPE);
    setOver(undefined);
    if (!name || name === before) return;
    event.preventDefault();
    onColumn(name, before);
  };
  const allow = (name: string) => (event: DragEvent) => {
    if (!whole || !event.dataTransfer.types.includes(COLUMN_TYPE)) return;
    event.preventDefault();
    setOver(name);
  };
  const shift = (name: string, by: number) => {
    const at = columns.indexOf(name);
    const next = [...columns];
    next.splice(at, 1);
    next.splice(Math.max(0, at + by), 0, name);
    onColumns(next);
  };
  const resize = (name: string, width: number) => table.setColumnSizing((old) => ({ ...old, [name]: Math.max(60, Math.min(3000, Math.round(width))) }));
  return (
    <div className={s.scroll} ref={scroller} tabIndex={0} role="region" aria-label={t.hunt.results}>
      <div className={s.table} role="table" aria-label={t.hunt.results} aria-rowcount={run.rows.length + 1} style={{ gridTemplateColumns: template }}>
        <div role="rowgroup" className={s.head}>
          <div role="row" className={s.row} aria-rowindex={1} style={{ gridTemplateColumns: template }}>
            {heads.map((head) => (
              <div
                key={head.id}
                role="columnheader"
                className={s.headCell}
                data-over={over === head.id || undefined}
                // A drag of the browser's own would take the mouse away from resizing.
                draggable={whole && !table.getState().columnSizingInfo.isResizingColumn}
                onDragStart={(event) => event.dataTransfer.setData(COLUMN_TYPE, head.id)}
                onDragOver={allow(head.id)}
                onDragLeave={() => setOver(undefined)}
                onDrop={drop(head.id)}
              >
                {whole ? (
                  <Menu position="bottom-start" withinPortal>
                    <Menu.Target>
                      <button type="button" className={s.headName} title={visible(head.id)}>
                        <span className="clip">{visible(head.id)}</span>
                      </button>
                    </Menu.Target>
                    <Menu.Dropdown>
                      <Menu.Item disabled={columns[0] === head.id} onClick={() => shift(head.id, -1)}>
                        {t.hunt.moveLeft}
                      </Menu.Item>
                      <Menu.Item disabled={columns.at(-1) === head.id} onClick={() => shift(head.id, 1)}>
                        {t.hunt.moveRight}
                      </Menu.Item>
                      <Menu.Item closeMenuOnClick={false} onClick={() => resize(head.column.id, head.getSize() * 1.25)}>
                        {t.hunt.wider}
                      </Menu.Item>
                      <Menu.Item closeMenuOnClick={false} onClick={() => resize(head.column.id, head.getSize() / 1.25)}>
                        {t.hunt.narrower}
                      </Menu.Item>
                      <Menu.Item disabled={columns.length === 1} onClick={() => onColumns(columns.filter((name) => name !== head.id))}>
                        {t.hunt.removeColumn(head.id)}
                      </Menu.Item>
                    </Menu.Dropdown>
                  </Menu>
                ) : (
                  <span className={`clip ${s.headName}`}>{visible(head.id)}</span>
                )}
                <span className={s.grip} onMouseDown={head.getResizeHandler()} onTouchStart={head.getResizeHandler()} onDoubleClick={() => head.column.resetSize()} aria-hidden="true" />
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" className={s.body} style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const row = run.rows.at(item.index);
            if (!row) return null;
            const id = whole ? row['event.id'] : undefined;
            const link = whole || run.language === 'sql' ? undefined : drill(query, row, range);
            return (
              <div
                key={item.index}
                role="row"
                aria-rowindex={item.index + 2}
                className={s.row}
                data-here={item.index === cursor || undefined}
                data-open={(id !== undefined && id === openId) || undefined}
                data-links={whole || undefined}
                style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)` }}
                onClick={(event) => whole && !(event.target as HTMLElement).closest('a') && !window.getSelection()?.toString() && onOpen(item.index)}
              >
                {columns.map((name, i) => (
                  <div key={name} role="cell" className={s.cell}>
                    {whole && i === 0 ? (
                      <button type="button" className={s.open} onClick={(event) => (event.stopPropagation(), onOpen(item.index))}>
                        <Cell row={row} name={name} zone={zone} />
                      </button>
                    ) : link && typeof row[name] === 'number' ? (
                      <Link href={link} title={t.common.showThese}>
                        {formatCount(row[name] as number)}
                      </Link>
                    ) : (
                      <Cell row={row} name={name} zone={zone} />
                    )}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

const none: Event[] = [];

function Cell({ row, name, zone }: { row: Event; name: string; zone: 'utc' | 'local' }) {
  const value = row[name];
  if (name === 'message' && 'event.id' in row) return <>{visible(summaryOf(row))}</>;
  if (typeof value === 'string' && (name === '@timestamp' || /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value))) return <>{formatTime(value, zone, true)}</>;
  const text = formatValue(value);
  const kind = entityKind(name);
  if (kind && text && typeof value !== 'object') return <Link href={entityLink({ kind, value: text })}>{visible(text)}</Link>;
  return <>{visible(text.length > 400 ? `${text.slice(0, 400)}…` : text)}</>;
}
