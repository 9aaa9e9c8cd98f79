/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.h: the deliberate faults behind mutant(n), and the rig that must catch each. A test suite
 * that lets one of these live is not worth its time. tests/mutants/mutants.py reads this table: one
 * MUTANT(number, name, rig, what) after the other, numbers growing; docs/testing.md shows it. Rigs:
 * sim_PROFILE (the simulator), replay (tests/replay), model_SITUATION (tests/model), or the unit
 * test of that name.
 */
#ifndef CAIRN_TESTS_MUTANTS_H
#define CAIRN_TESTS_MUTANTS_H

#define MUTANTS(MUTANT)                                                                            \
	MUTANT(1, ack_before_durable, sim_crash, \
	       "a follower acknowledges before its record is durable") \
	MUTANT(2, own_before_durable, sim_net, "a coordinator counts itself before its record is") \
	MUTANT(3, stale_ack_early, sim_net, \
	       "a stale INV is acknowledged before the newer is durable") \
	MUTANT(4, val_any_ts, sim_net, "VAL is accepted for any timestamp (H05)") \
	MUTANT(5, read_invalid, sim_net, "reads are served while the key is not Valid") \
	MUTANT(6, rmw_acked, sim_net, \
	       "the INV of an overtaken RMW is acknowledged, not refused (H04)") \
	MUTANT(7, one_ack_missing, sim_net, "an update commits with one acknowledgement missing") \
	MUTANT(8, ack_any_op, sim_net, "an ACK counts for whatever the op slot now holds (CC-8)") \
	MUTANT(9, incarnation_constant, sim_crash, \
	       "timestamps carry incarnation 1 for ever (CC-12, H10)") \
	MUTANT(10, stale_incarnation, replay, "frames of and for dead incarnations are taken") \
	MUTANT(11, no_dedup, sim_net, "a request that arrives twice is executed twice") \
	MUTANT(12, write_by_one, sim_net, \
	       "a blind write advances the version by 1, like an RMW (H07)") \
	MUTANT(13, trans_validates, sim_net, \
	       "completing from Trans validates the key and sends VAL") \
	MUTANT(14, recovery_valid, sim_crash, "recovered keys are Valid at once (H21)") \
	MUTANT(15, abort_ignored, sim_net, "an RMW overtaken by a newer update still completes") \
	MUTANT(16, no_retransmit, sim_net, "lost INVs are not sent again") \
	MUTANT(17, replay_new_ts, sim_net, "a replay makes up a new timestamp") \
	MUTANT(18, rival_validated, sim_net, \
	       "a write is validated although somebody holds a newer") \
	MUTANT(19, acks_outlive_view, sim_views, \
	       "ACKs of before a restart or view count after it (CC-5, H01)") \
	MUTANT(20, old_ack, model_join, "an ACK of another epoch counts (H02)") \
	MUTANT(21, old_inv, model_join, "an INV of another epoch is taken (H03)") \
	MUTANT(22, read_without_lease, model_lease, "reads are served without a lease (H06)") \
	MUTANT(23, replay_blind, sim_views, "a replay forgets that the update was an RMW (H08)") \
	MUTANT(24, base_any_writer, replay, \
	       "an INV validates a version of another writer than it was made from") \
	MUTANT(25, rejoin_keeps, sim_views, "a shadow keeps what it held before (CC-24)") \
	MUTANT(26, copy_overwrites, sim_views, "a copy overwrites what is newer (CC-19, H11)") \
	MUTANT(27, joined_early, sim_views, \
	       "a shadow says that it has joined before the copy ends (H11)") \
	MUTANT(28, tombstone_unfenced, model_tombstone, \
	       "tombstones are collected in the view they became Valid in (H12)") \
	MUTANT(29, floor_forgotten, model_tombstone, \
	       "collecting a tombstone leaves no floor (H12)") \
	MUTANT(30, retry_at_once, sim_views, \
	       "a retry does not wait for the old coordinator to be out (H22)") \
	MUTANT(31, eviction_forgotten, sim_views, \
	       "a session made again forgets that it was forgotten (S-EVICT)") \
	MUTANT(32, retry_executes, sim_views, \
	       "a retry is executed whatever became of the first try (S-ONCE)") \
	MUTANT(33, rival_took, sim_views, \
	       "an RMW that lost to a rival counts as having taken effect") \
	MUTANT(34, successor_dead, sim_views, \
	       "an RMW whose successor was made from it counts as dead") \
	MUTANT(35, stale_unnoted, replay, "a blind write acknowledged as stale is not remembered") \
	MUTANT(36, o3_one_missing, replay, "O3: a follower validates with one ACK missing") \
	MUTANT(37, o3_not_durable, replay, \
	       "O3: a follower validates before its own record is durable") \
	MUTANT(38, left_goes_on, replay, "a node that left the view goes on as a member") \
	MUTANT(39, version_32_bits, replay, "versions wrap at 32 bits (CC-20, H13)") \
	MUTANT(40, durable_submitted, sim_crash, \
	       "what was handed to the device counts as durable") \
	MUTANT(41, chain_unchecked, wal, "recovery takes a batch with another predecessor") \
	MUTANT(42, rot_is_torn, wal, "a damaged durable batch is cut off like a torn tail") \
	MUTANT(43, merge_any_ts, store, "recovery keeps the last record of a key, not the newest") \
	MUTANT(44, durable_gap, sim_crash, \
	       "a batch counts as durable before the one in front of it") \
	MUTANT(45, body_unchecked, sim_crash, "recovery takes a batch whose body is damaged") \
	MUTANT(46, reset_not_recovered, sim_views, "recovery keeps what a reset record made void") \
	MUTANT(47, note_not_recovered, worker, \
	       "recovery ignores notes of operations overtaken at once") \
	MUTANT(48, index_hole, sim_views, "removing an entry leaves a hole that hides others") \
	MUTANT(49, incarnation_reused, superblock, \
	       "a node that starts keeps its last incarnation (CC-12)") \
	MUTANT(50, resend_elsewhere, client_retry, \
	       "updates of a lost session are sent again as new ones") \
	MUTANT(51, any_reply, client_core, "a late reply counts for the next id in its place") \
	MUTANT(52, prior_forgotten, sim_views, \
	       "a request does not say which node was asked before") \
	MUTANT(53, ids_restart, client_retry, "request ids begin anew with a new session") \
	MUTANT(54, evicted_again, client_retry, "an evicted request is sent again as a new one") \
	MUTANT(55, retry_new_id, client_retry, \
	       "a request gets a new id when it goes to another node") \
	MUTANT(60, lease_clock_early, worker, \
	       "the lease is held against the clock of before the load (CC-9, H14)") \
	MUTANT(61, newer_life_gone, replay, \
	       "a retry counts a life it has not heard of as over (H22)") \
	MUTANT(62, abort_early, sim_net, \
	       "an abort is told before the newer update is committed (CC-6)") \
	MUTANT(63, rmw_acks_replay, replay, \
	       "the live coordinator of an RMW acknowledges replays of it") \
	MUTANT(64, spent_returns, replay, \
	       "a node that left a view comes back in the same incarnation (CC-12)") \
	MUTANT(65, stale_replay_acked, model_rmw, \
	       "a stale replay is acknowledged, not answered with the newer (3.11)") \
	MUTANT(66, ack_outlives_view, replay, \
	       "an ACK held for the disk in one view is sent in the next") \
	MUTANT(67, shadow_unasked, model_join, "commits do not wait for shadows (H11)") \
	MUTANT(68, view_backwards, replay, "an older view is installed over a newer one") \
	MUTANT(69, sessions_uncopied, sim_views, \
	       "a joiner copies no session tables and calls its own complete") \
	MUTANT(70, misdirected, wal, "recovery takes a batch that was written for another offset") \
	MUTANT(71, foreign_device, wal, "recovery takes a batch of another device") \
	MUTANT(72, seq_unchecked, wal, "recovery takes a batch out of sequence") \
	MUTANT(73, life_unchecked, wal, \
	       "recovery takes a batch of an older life behind a newer one") \
	MUTANT(74, durable_seq_zero, wal, "batches do not say what was durable before them") \
	MUTANT(75, no_reserve, wal, "the log fills up to its last block") \
	MUTANT(76, error_ignored, wal, "a failed write counts as done") \
	MUTANT(77, base_not_recovered, store, "recovery forgets what an update was made from") \
	MUTANT(78, one_superblock, superblock, "a start renews one superblock copy alone") \
	MUTANT(79, drop_everything, store, "dropping a shard drops every shard") \
	MUTANT(80, lease_unmarked, replay, \
	       "read replies are not marked for the lease check (H14)") \
	MUTANT(81, no_replay, replay, "nobody replays a key that stays Invalid (CC-2, H16)") \
	MUTANT(82, write_set_grows, replay, \
	       "who left the view is still asked for ACKs (H17, H18)") \
	MUTANT(83, base_ignored, replay, \
	       "an INV does not validate the version it was made from (CC-16)") \
	MUTANT(84, duplicate_invalidates, replay, \
	       "a duplicate INV makes a Valid key Invalid (CC-3)") \
	MUTANT(85, own_val_ignored, replay, "VAL of an own update under way is ignored (CC-4)") \
	MUTANT(87, casv_length, replay, "compare on value compares lengths only") \
	MUTANT(88, patience_ignored, replay, \
	       "an update is executed after its client has given up") \
	MUTANT(90, joined_not_durable, replay, "a shadow has joined before its copy is on disk") \
	MUTANT(91, floor_not_copied, replay, \
	       "a joiner does not learn the floor of forgotten tombstones (CC-13)") \
	MUTANT(92, retry_blind, replay, "a retried write runs as a blind write") \
	MUTANT(93, number_uncached, replay, \
	       "the cached reply of an increment lacks its number (S-CACHE)") \
	MUTANT(94, tombstone_exists, replay, "put-if-absent takes a tombstone for a value") \
	MUTANT(95, peer_space_ignored, replay, \
	       "values are sent to peers that said they are full (CC-14)") \
	MUTANT(96, unbased_ignored, replay, \
	       "an RMW from a forgotten tombstone counts blind writes below it as before it") \
	MUTANT(97, unknown_is_no, replay, \
	       "an update under way when its node leaves is said not to be applied") \
	MUTANT(98, copied_unkeyed, replay, \
	       "a copied outcome does not learn its key from the update itself") \
	MUTANT(99, unnoted_answered, replay, \
	       "an overtaken write is answered before everybody has seen its INV (S-ONCE)") \
	MUTANT(100, overtaken_adopted, replay, \
	       "an overtaken update sent again is adopted over a forgotten tombstone (H12)") \
	MUTANT(101, old_unmarked, client_retry, \
	       "a request of before a session does not say so (S-EVICT)") \
	MUTANT(102, overtaken_took, replay, \
	       "an overtaken blind write counts as having taken effect (S-ONCE)") \
	MUTANT(103, answers_mixed, replay, \
	       "a joiner puts parts of two answers together (H-LAG-JOIN)") \
	MUTANT(190, read_only_ignored, view, \
	       "a view with too few members takes updates (M-MIN-SIZE)") \
	MUTANT(191, stale_promise, service, \
	       "a promise counts from before its request came in (CC-26, M-LEASE-GAP)") \
	MUTANT(192, first_worker_only, service, \
	       "a node says its epoch before all its workers have installed the view") \
	MUTANT(193, unconfirmed_order, service, \
	       "a lease is said to be given up before all workers have (M-LEASE-GAP)") \
	MUTANT(194, worker_hangs_unseen, service, \
	       "a worker that does not go round any more shows in nothing (M-DATA-ALIVE)")

#endif
