-- A stand-in for Citus: its names, signatures and catalogue, and its refusal of an unfit key. It moves no rows.
create schema citus;
create type citus.distribution_type as enum ('hash', 'range', 'append');
create table pg_catalog.pg_dist_partition (
    logicalrelid regclass, partmethod "char", partkey text, colocationid int, repmodel "char", autoconverted boolean
);
create table pg_catalog.pg_dist_authinfo (nodeid int, rolename name, authinfo text);
create table pg_catalog.pg_dist_node (nodeid serial, nodename text, nodeport int);
grant select on pg_catalog.pg_dist_partition to public;

create function pg_catalog.column_to_column_name(table_name regclass, column_var_text text) returns text
    language sql as $$ select substring(column_var_text from ':name (\w+)') $$;

create function pg_catalog.create_distributed_table(
    table_name regclass, distribution_column text, distribution_type citus.distribution_type default 'hash',
    colocate_with text default 'default', shard_count int default null
) returns void language plpgsql security definer as $$
begin
    if not exists (
        select from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey)
        where indrelid = table_name and indisprimary and attname = distribution_column
    ) then
        raise exception 'cannot create constraint on "%"', table_name using errcode = 'feature_not_supported';
    end if;
    insert into pg_dist_partition values (table_name, 'h', '{VAR :name ' || distribution_column || '}', 1, 's', false);
end $$;

create function pg_catalog.create_reference_table(table_name regclass) returns void
    language sql security definer as $$ insert into pg_dist_partition values (table_name, 'n', null, 2, 't', false) $$;

create function pg_catalog.undistribute_table(table_name regclass, cascade_via_foreign_keys boolean default false)
    returns void language sql security definer as $$ delete from pg_dist_partition where logicalrelid = table_name $$;

create function pg_catalog.truncate_local_data_after_distributing_table(function_name regclass) returns void
    language sql as $$ $$;

create function pg_catalog.citus_add_node(nodename text, nodeport int) returns int
    language sql as $$ insert into pg_dist_node (nodename, nodeport) values ($1, $2) returning nodeid $$;

create function pg_catalog.citus_set_coordinator_host(host text, port int default 5432) returns void
    language sql as $$ insert into pg_dist_node values (0, $1, $2) $$;

create view pg_catalog.citus_tables as
    select logicalrelid as table_name, partmethod as citus_table_type,
        column_to_column_name(logicalrelid, partkey) as distribution_column, 64 as shard_count, '8 kB' as table_size
    from pg_dist_partition;
grant select on pg_catalog.citus_tables to public;

create function pg_catalog.citus_update_node(
    node_id int, new_node_name text, new_node_port int, force bool default false, lock_cooldown int default 10000
) returns void language sql as $$
    update pg_dist_node set nodename = $2, nodeport = $3 where nodeid = $1
$$;

create function pg_catalog.citus_create_restore_point(text) returns pg_lsn
    language sql as $$ select pg_current_wal_lsn() $$;

create function pg_catalog.citus_rebalance_start(
    rebalance_strategy name default null, drain_only boolean default false
) returns bigint language sql as $$ select 1 $$;

create function pg_catalog.citus_rebalance_status(raw boolean default false)
    returns table (job_id bigint, state text, job_type text, description text, started_at timestamptz,
        finished_at timestamptz, details jsonb)
    language sql as $$ select 1, 'finished', 'rebalance', '', now(), now(), '{}'::jsonb $$;
