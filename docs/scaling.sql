-- The SQL of scaling.md, part by part. Replace the hosts, the roles, the passwords and the database's name by your own.

-- room: as the owner of tasks
alter table tasks set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.01);

-- passwords: on every node, as a superuser
insert into pg_dist_authinfo (nodeid, rolename, authinfo) values
    (0, 'postgres', 'password=one'),
    (0, 'migrating_role', 'password=two'),
    (0, 'serving_role', 'password=three');

-- nodes: on the coordinator, as a superuser
select citus_set_coordinator_host('coordinator.internal', 5432);
select citus_add_node('worker-1.internal', 5432);
select citus_add_node('worker-2.internal', 5432);
alter database taskward set citus.shard_count = 64;

-- key: on the coordinator, as the owner of tasks
create unique index concurrently pk_tasks_next on tasks (user_id, id);
begin;
set local lock_timeout = '2s';
alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key using index pk_tasks_next;
commit;

-- look: on the coordinator, as the owner of tasks
select table_name, citus_table_type, distribution_column, shard_count, table_size from citus_tables;
select count(*) from tasks;

-- tidy: on the coordinator, as the owner of tasks
select truncate_local_data_after_distributing_table('tasks');

-- rebalance: on the coordinator, as a superuser
select citus_rebalance_start();
select state, details from citus_rebalance_status();

-- restore: on the coordinator, as a superuser
select citus_create_restore_point('before-the-release');

-- replace: on the coordinator, as a superuser
select citus_update_node(nodeid, 'standby-1.internal', 5432) from pg_dist_node where nodename = 'worker-1.internal';

-- back: on the coordinator, as the owner of tasks
select undistribute_table('tasks');
select undistribute_table('alembic_version');
alter table tasks drop constraint pk_tasks, add constraint pk_tasks primary key (id);
