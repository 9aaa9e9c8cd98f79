/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.h: the deliberate faults behind mutant(n), and the rig that must catch each. A test suite
 * that lets one of these live is not worth its time. tests/mutants/mutants.py reads this table: one
 * MUTANT(number, name, rig, what) after the other, numbers growing; docs/testing.md shows it. Rigs:
 * sim_PROFILE (the simulator), replay (tests/replay), model_SITUATION (tests/model), raft_fuzz and
 * raft_script (tests/raft), or the unit test of that name.
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
	MUTANT(57, promise_per_term, raft_conf, \
	       "a promise to a leader ends with its term, not with its time (R10)") \
	MUTANT(58, history_told, raft_conf, \
	       "a newcomer under an old number is told of the confs of before (R19)") \
	MUTANT(59, dead_leader_heard, raft, \
	       "old messages show that a leader lives, again and again") \
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
	MUTANT(104, pre_vote_counts, raft_fuzz, "an answer to a pre-vote counts as a vote (R07)") \
	MUTANT(105, durable_index, raft_fuzz, \
	       "what was durable at an index counts after the entry there has changed (R13)") \
	MUTANT(106, conf_kept, raft_fuzz, \
	       "a conf whose entry was overwritten stays in force (R05)") \
	MUTANT(107, old_term_commit, raft_fuzz, \
	       "entries of older terms are committed by counting (R01)") \
	MUTANT(108, stand_in_memory, raft_fuzz, \
	       "a candidate speaks of a log and a vote that are not on its disk (R02)") \
	MUTANT(109, vote_in_memory, raft_fuzz, "votes leave before they are on the disk") \
	MUTANT(110, append_in_memory, raft_fuzz, \
	       "entries are acknowledged before they are on the disk (R03)") \
	MUTANT(111, leader_in_memory, raft_fuzz, \
	       "a leader counts itself before its own write is done (R15)") \
	MUTANT(112, read_unready, raft_fuzz, \
	       "read indexes are given before an entry of the own term is committed (R08)") \
	MUTANT(113, any_round, raft_script, \
	       "an old answer to a heartbeat counts for the newest round (R09)") \
	MUTANT(114, lease_in_transfer, raft_script, \
	       "the lease is kept while leadership is handed over (R10)") \
	MUTANT(115, promise_broken, raft_fuzz, \
	       "votes are given although a leader was heard just now (R10, R11)") \
	MUTANT(116, slow_disk_leads, raft_fuzz, \
	       "a leader that cannot write goes on leading (R12)") \
	MUTANT(117, two_confs, raft_fuzz, \
	       "a change of conf begins before the one before is committed (R34)") \
	MUTANT(118, votes_at_start, raft_fuzz, \
	       "a node that has just started votes, whatever it promised before") \
	MUTANT(119, hold_ignored, raft_fuzz, "entries on hold are acknowledged") \
	MUTANT(120, joint_commit, raft_fuzz, \
	       "a joint conf commits with a majority of the new voters alone") \
	MUTANT(121, joint_election, raft_fuzz, \
	       "a joint conf elects with a majority of the new voters alone") \
	MUTANT(122, any_log_wins, raft_fuzz, \
	       "votes are given whatever the log of the candidate lacks (5.4.1)") \
	MUTANT(123, blank_votes, raft_script, "a node with an empty disk votes (R19)") \
	MUTANT(124, blank_voter, raft_fuzz, "a node that holds nothing yet becomes a voter (R19)") \
	MUTANT(125, received_counts, raft_fuzz, \
	       "what a follower has received counts as durable there") \
	MUTANT(126, restored_in_memory, raft_fuzz, \
	       "a snapshot is acknowledged before it is on the disk") \
	MUTANT(127, always_truncates, raft_fuzz, \
	       "an old AppendEntries cuts off what came after it") \
	MUTANT(128, no_pre_vote, raft_fuzz, \
	       "whoever hears no leader begins a new term at once (R11)") \
	MUTANT(129, commit_unmatched, raft_fuzz, \
	       "a follower applies entries that its leader has not confirmed") \
	MUTANT(130, no_drift, raft_script, "the lease ignores that clocks run apart") \
	MUTANT(131, newest_conf, raft_fuzz, "a snapshot holds a conf that is not committed (R05)") \
	MUTANT(132, vote_unwritten, raft_fuzz, "a vote is never written down") \
	MUTANT(133, left_leads, raft_fuzz, "a leader that was removed goes on leading") \
	MUTANT(134, joint_for_ever, raft_fuzz, "a joint conf is never left (R34)") \
	MUTANT(135, older_round, raft_script, \
	       "a heartbeat sent before the read proves leadership for it (R09)") \
	MUTANT(136, read_ids_again, raft_script, \
	       "reads of two lives of a node bear the same ids (R09)") \
	MUTANT(137, recovery_commits, raft_fuzz, "recovery takes all of the log for committed") \
	MUTANT(138, no_check_quorum, raft_script, "a leader that hears nobody goes on leading") \
	MUTANT(139, loss_unnoticed, raft_fuzz, \
	       "what was lost on its way is never sent again (R32)") \
	MUTANT(140, exclusion_at_once, membership, \
	       "a voter acknowledges an exclusion while its promise lasts (M-LEASE-GAP)") \
	MUTANT(141, grant_after_exclusion, membership, \
	       "a voter grants a lease to whom an entry in its log excludes (M-LEASE-GAP)") \
	MUTANT(142, promises_forgotten, membership, \
	       "a voter that restarts takes its promises for void (CC-10)") \
	MUTANT(143, joint_at_once, membership, \
	       "voters change while promises to members last") \
	MUTANT(144, old_life_reports, membership, \
	       "reports of a life that is over are taken (M-INCARN)") \
	MUTANT(145, late_report, membership, \
	       "late copies of old reports are taken (R09, M-DATA-ALIVE)") \
	MUTANT(147, lease_by_one, membership, "one voter's grant makes a lease") \
	MUTANT(149, any_disk, membership, "another disk votes with a number's rights (R19, R20)") \
	MUTANT(150, no_hold_down, membership, "who was evicted comes back at once (M-FLAP)") \
	MUTANT(151, slow_stays, membership, "nobody is evicted for being slow (CC-15)") \
	MUTANT(152, history_is_mine, membership, \
	       "a new disk takes its number's earlier owner for itself (R19, CC-12)") \
	MUTANT(154, copies_ignored, membership, \
	       "a drain may leave fewer members than copies_min (M-MIN-SIZE)") \
	MUTANT(156, durable_before_hold, membership, \
	       "an exclusion is acknowledged before its promise is looked at (M-LEASE-GAP)") \
	MUTANT(157, old_ghost, membership, \
	       "who is let in again is held down later for what it said before (M-FLAP)") \
	MUTANT(158, witness_unheard, membership, \
	       "of two members none is slow: nobody asks the witness (CC-15)") \
	MUTANT(159, waiting_is_guilt, membership, \
	       "who waits goes rather than who is waited for (CC-15)") \
	MUTANT(160, groups_forgotten, membership, \
	       "a command leaves the shards' groups without a living majority") \
	MUTANT(161, overwritten_conf, membership, \
	       "leases ask for a conf whose entry was overwritten") \
	MUTANT(162, clueless_for_ever, client_retry, \
	       "nobody can tell what became of an update, and its caller waits all the same") \
	MUTANT(170, lease_ignored, sim_raft, "a leader answers reads without a lease") \
	MUTANT(171, eviction_unseen, group_session, \
	       "what was forgotten since a request was passed on counts as never done (S-EVICT)") \
	MUTANT(172, applied_twice, group, \
	       "a command that is in the log twice is done twice (S-ONCE)") \
	MUTANT(173, read_index_local, group, "a follower reads at its own index") \
	MUTANT(174, copied_redone, group, "what came by copy is done again from the log") \
	MUTANT(175, refusals_uncopied, group, \
	       "a copy leaves out requests that were refused at their place in the log") \
	MUTANT(176, restored_early, group, "a snapshot counts as restored before the copy ends") \
	MUTANT(177, tombstone_in_copy, group, \
	       "tombstones are collected while a node copies (CC-13)") \
	MUTANT(179, copied_onto_less, sim_raft, \
	       "recovery puts a copy on less than what it was taken on top of") \
	MUTANT(180, half_state, group_void, \
	       "a node that died in a full copy goes on with what it has") \
	MUTANT(181, sessions_moving, group, "a copy of the session table is of no one index") \
	MUTANT(182, sent_is_refused, group, \
	       "an update passed on and given up is said not to be applied") \
	MUTANT(183, floor_ignored, group, \
	       "what a donor has forgotten deletes of is taken for complete (CC-24)") \
	MUTANT(184, sessions_left, group, "a copy brings keys alone") \
	MUTANT(185, sessions_by_clock, group, \
	       "sessions make room by the node's clock, not by the log") \
	MUTANT(186, unknown_then_no, group, \
	       "a request answered UNKNOWN is refused when it comes again") \
	MUTANT(188, last_voter_stays, group, \
	       "the only voter of a shard never leaves for those that are to follow it") \
	MUTANT(190, read_only_ignored, view, \
	       "a view with too few members takes updates (M-MIN-SIZE)") \
	MUTANT(191, stale_promise, service, \
	       "a promise counts from before its request came in (CC-26, M-LEASE-GAP)") \
	MUTANT(192, first_worker_only, service, \
	       "a node says its epoch before all its workers have installed the view") \
	MUTANT(193, unconfirmed_order, service, \
	       "a lease is said to be given up before all workers have (M-LEASE-GAP)") \
	MUTANT(194, worker_hangs_unseen, service, \
	       "a worker that does not go round any more shows in nothing (M-DATA-ALIVE)") \
	MUTANT(200, old_measures_new, join, \
	       "an INV is compared with what a joiner holds from before (CC-24)") \
	MUTANT(201, void_unlogged, join, \
	       "what a joiner has replaced comes back at its next start (CC-24)") \
	MUTANT(202, leftovers_stay, join, \
	       "a joiner keeps keys that its donor does not have (CC-24)") \
	MUTANT(203, newer_stands, join, \
	       "what is newer at a joiner than at its donor stands (CC-24)") \
	MUTANT(204, outcomes_stand, join, \
	       "a joiner keeps what it made of clients' updates before (S-ONCE)") \
	MUTANT(205, stub_validates, join, "what a donor holds Invalid is Valid at a joiner") \
	MUTANT(206, any_chunk, join, \
	       "a donor takes the bitmap of one chunk for another one (H-LAG-JOIN)") \
	MUTANT(207, voids_not_durable, join, \
	       "a shadow has joined before the log knows what is void") \
	MUTANT(208, outcomes_come_back, worker, \
	       "a start takes outcomes from before a join for true (S-ONCE)") \
	MUTANT(209, void_comes_back, worker, "a start takes what was void for true (CC-24)") \
	MUTANT(210, former_names, membership, \
	       "a kept frame of the former disk names the number it was given back from (R19)") \
	MUTANT(211, anybody_recovers, sim_service, \
	       "after the last member's death anybody's disk is the new beginning (H-LAG-JOIN)") \
	MUTANT(212, unjoined_member, sim_service, \
	       "a shadow becomes a member before it has copied everything (H-LAG-JOIN)") \
	MUTANT(213, joint_each_anew, membership, \
	       "of two changes of the voters in its log, a voter takes each for a new one") \
	MUTANT(214, late_answer_is_all, join, \
	       "what comes late of some values of a chunk is taken for all of them (H-LAG-JOIN)") \
	MUTANT(215, groups_uncommitted, group, \
	       "a shard's group has let a node go before that is agreed on") \
	MUTANT(216, groups_unheard, membership, \
	       "a node's number is free although no member says that its groups let it go") \
	MUTANT(217, starts_unheard, membership, \
	       "a removed node's next disk begins where its last was heard (M-INCARN)") \
	MUTANT(218, witness_forgets_base, group, \
	       "a witness that starts again does not know where its log begins") \
	MUTANT(219, conf_of_the_dead, group, \
	       "a shard's voters are changed to such as are no majority alive (R34)") \
	MUTANT(220, any_disk, service, \
	       "a Raft frame for the disk that had this number before is taken (R19)") \
	MUTANT(221, disk_untold, service, \
	       "who speaks to another disk than is there is not told which one is") \
	MUTANT(222, any_shape, group, \
	       "members of a group that forget sessions in other ways hear each other (C-EQUAL)") \
	MUTANT(223, quorum_is_enough, raft_conf, \
	       "a leader commits what fewer than copies_min data nodes hold (M-MIN-SIZE)") \
	MUTANT(224, refusal_by_name, group, \
	       "a request refused here is executed when it names this node as asked first") \
	MUTANT(225, one_end_is_all, join, \
	       "a walk by several questions is over when one has met the end (H-LAG-JOIN)") \
	MUTANT(226, places_of_another, join, \
	       "another donor is asked from where the last one was (H-LAG-JOIN)") \
	MUTANT(227, rate_ignored, join, "a joiner pulls as fast as it can, whatever the limit") \
	MUTANT(228, joins_in_vain, worker, \
	       "a joiner whose log is too small stays in the way of everybody's updates") \
	MUTANT(230, buries_next_life, service, \
	       "an obituary counts for every life of the node, to come too (CC-25)") \
	MUTANT(231, same_names, membership, "two nodes may have one name") \
	MUTANT(232, unleased_begins, replay, "a member without a lease begins updates") \
	MUTANT(240, index_before_state, group_story, \
	       "the index that state is said to be of is on the disk before that state (R16)") \
	MUTANT(241, copied_anew, group_story, \
	       "a key that comes by copy gets a version of its own (R17, R35)") \
	MUTANT(242, tombstone_compared, group_story, \
	       "a deleted key is compared by its tombstone, where there still is one (R18)") \
	MUTANT(243, donor_for_ever, group_story, \
	       "a copy goes on asking a node that answers no more (R21)") \
	MUTANT(244, log_outruns_copy, group_story, \
	       "the log is not kept from where a copy began (R22)") \
	MUTANT(245, conf_apart, raft_script, \
	       "a snapshot is taken over, or found at start, without its conf (R26)") \
	MUTANT(246, floor_not_recovered, worker, \
	       "a start forgets how high the versions of forgotten deletes were (R17, R35)") \
	MUTANT(247, snapshot_cuts, raft_script, \
	       "recovery drops what its log holds behind a snapshot (R30)") \
	MUTANT(248, failed_leads, raft_script, \
	       "a leader whose disk has failed goes on leading (R12, R28)") \
	MUTANT(249, torn_is_rot, wal, "a torn tail keeps a node from starting (R27)") \
	MUTANT(250, ring_or_nothing, blockdev_file, \
	       "without io_uring there is no disk at all (R29)") \
	MUTANT(251, opened_anew, session, \
	       "a client that opens its session again gets another one (R24)") \
	MUTANT(252, attempts_wrap, client_core, \
	       "the pause between attempts doubles until it wraps (R23)") \
	MUTANT(253, depth_blocks, wal, \
	       "batches that had to wait for others are never written (R23)") \
	MUTANT(254, full_log_waits, worker, \
	       "engine raft: a node whose log is full waits for room, for ever (R28)") \
	MUTANT(255, old_disk_counts, raft_script, \
	       "what the disk before has acknowledged counts for the new one (R20)") \
	MUTANT(256, handed_over_late, raft_script, \
	       "who is handed the lead waits for a timeout all the same (R31)") \
	MUTANT(257, leaver_told, raft_script, \
	       "who has left is told of confs in which it had a say (R19)") \
	MUTANT(260, founder_unnamed, group, \
	       "a founder's disk votes in its shards before a view names it (R19, R20)") \
	MUTANT(261, founds_again, membership, \
	       "a number's second disk founds the shards once more (R19, R20)") \
	MUTANT(262, named_unread, membership_odd, \
	       "a start forgets which disks the end of its log names (R19, R20)") \
	MUTANT(265, void_stands, raft, \
	       "a node that has dropped its entries leads with its log (R30)") \
	MUTANT(266, void_acks, raft, \
	       "a node that has dropped its entries takes and acknowledges others (M-MIN-SIZE)") \
	MUTANT(267, void_mute, group_void, \
	       "a node that has dropped its entries votes for nobody (R30)") \
	MUTANT(268, lost_tail, raft, \
	       "a follower that has lost what it acknowledged is not believed") \
	MUTANT(269, void_asks, group_void, \
	       "a node without entries passes on what its clients ask") \
	MUTANT(270, donor_of_before, group_void, \
	       "a copy waits for a donor that has begun another life (R21)") \
	MUTANT(271, copies_first, raft_conf, \
	       "nobody is taken in before what lacks copies has them (M-MIN-SIZE)") \
	MUTANT(272, conf_commits, raft_conf, \
	       "a start takes what is before a conf for committed, which did not wait for that") \
	MUTANT(273, conf_waits, raft_conf, \
	       "nobody is taken in while too much lacks copies (M-MIN-SIZE)") \
	MUTANT(274, witness_ahead, raft_conf, \
	       "a leader that has to go leaves a witness with more than those who can lead") \
	MUTANT(275, held_back_silent, group_story, \
	       "a joiner that its rate holds back says nothing, and is given up (R22)") \
	MUTANT(276, forgotten_before_use, group, \
	       "a start forgets a delete before it applies what deleted (C-EQUAL)") \
	MUTANT(277, witness_unmarked, group, \
	       "a witness that stays until others vote counts as a copy meanwhile (M-MIN-SIZE)") \
	MUTANT(278, impatient_lanes, join, \
	       "a joiner asks again for what is on its way, and takes that for late then") \
	MUTANT(279, small_store_joins, worker, \
	       "a joiner whose store is too small stays in the way of everybody's updates") \
	MUTANT(285, deaf_leader, group_story, \
	       "a shard is led by who does not hear all, though another one does") \
	MUTANT(286, leads_again_at_once, group_story, \
	       "a link that comes and goes moves leaders as often (M-FLAP)") \
	MUTANT(287, odds_at_once, group_story, \
	       "who hears a dead node a little longer is given the lead") \
	MUTANT(288, former_untold, membership_odd, \
	       "a former disk is not told that its number is another's now (R19)") \
	MUTANT(289, crowded_out, raft, \
	       "a leader whose log is full of what others began waits for room for ever") \
	MUTANT(290, noops_pile_up, raft, \
	       "leaders that can commit nothing fill the log with their first entries") \
	MUTANT(291, compared_free, join, \
	       "what a joiner only compares is not counted by its rate") \
	MUTANT(292, denied_unseen, group_void, \
	       "a node without entries says 'not applied' of what it has executed (S-ONCE)") \
	MUTANT(293, untold, group_void, \
	       "a leader does not believe a node without entries that something is committed") \
	MUTANT(297, overrun, worker, \
	       "a leader's log holds more new keys than the store has room for: all nodes stop") \
	MUTANT(298, stuck_full, worker, "who has no room for new keys takes no deletes either") \
	MUTANT(299, overrun_unseen, worker, \
	       "a coordinator makes as many new keys as its store holds, whatever others begin") \
	MUTANT(302, confs_skipped, raft, \
	       "what all voters hold is asked of the newest conf and a committed one alone") \
	MUTANT(305, odd_engine_heard, membership_odd, \
	       "a node formatted for another engine takes part all the same (M-ENGINE)") \
	MUTANT(308, own_election, raft_lease, \
	       "a leader counts its own timer, not what its voters promise (6.4.1)") \
	MUTANT(309, own_lease, membership_odd, \
	       "a member counts its own timer, not what the voters promise (M-LEASE-GAP)") \
	MUTANT(310, dead_copies, membership_odd, \
	       "so many copies are asked for that members who are dead would have to hold some") \
	MUTANT(311, evicted_unasked, group_session, \
	       "new clients of a node behind the leader count as forgotten ones (S-EVICT)") \
	MUTANT(312, outlived, group_session, \
	       "a session outlives the replicated one that made room during a copy (S-ONCE)") \
	MUTANT(313, outlived_remade, group_session, \
	       "so it does when that one was made again before the copy ended (S-ONCE)")

#endif
